package opa

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/tallygate/tallygate/mesh"
)

// Shape says what a decision can rest on, whatever the input. Two requests that
// have the same value, or none, at each of Paths, and a value of the same kind,
// or none, at each of Kinds, get the same decision from the same generation, as
// far as Cacheable and NeedsTTL promise.
type Shape struct {
	// Paths are all values that can be read. None is below another; sorted. The
	// one empty path is the whole input.
	Paths []mesh.Path
	// Kinds are the values of which only presence and kind can matter, such as
	// that of input.attributes after a := input.attributes, or of what has an
	// element read by its index. They belong to the
	// key of a decision as Paths do; mesh.Probe reads them. None is at or below
	// one of Paths; sorted.
	Kinds []mesh.Path
	// Cacheable is false if decisions are not worth keeping or must not be kept.
	Cacheable bool
	// NeedsTTL is true if something that changes by itself can be read and only
	// a result can state for how long it holds: decisions without a TTL or
	// NotAfter of their own are not to be kept.
	NeedsTTL bool
	// TTL is what the entrypoint's annotation states, 0 for nothing. It is part
	// of each result's hint already.
	TTL time.Duration
	// Reasons say why not Cacheable, or why NeedsTTL.
	Reasons []Reason
	// Tokens is true if tokens may be decoded, so that Result.Expires matters.
	Tokens bool

	reads    map[string]Place // where each of Paths and Kinds is first read
	builtins map[string]Place // reachable, and where first
}

// Reason is why decisions cannot be kept, or not without a TTL.
type Reason struct {
	What string // as "input.attributes.request.time" or "time.now_ns"
	Why  string
	At   Place
}

// String returns the reason on one line.
func (r Reason) String() string { return fmt.Sprintf("%s: %s: %s", r.At, r.What, r.Why) }

// At returns where in the policy p, one of Paths or Kinds, is read.
func (s *Shape) At(p mesh.Path) Place { return s.reads[p.String()] }

// Builtins returns the reachable built-in functions, sorted.
func (s *Shape) Builtins() []string { return slices.Sorted(maps.Keys(s.builtins)) }

// unique are the parts of the input that no two requests have in common: what
// reads one of them would fill a cache that is never hit.
var unique = []struct {
	path mesh.Path
	why  string
}{
	{mesh.Path{"attributes", "request", "time"}, "the time of the request is never the same twice"},
	{mesh.Path{"attributes", "request", "id"}, "it is unique to the request"},
	{mesh.Path{"attributes", "request", "http", "id"}, "it is unique to the request"},
	{mesh.Path{"attributes", "request", "http", "headers", "x-request-id"}, "it is unique to the request"},
	{mesh.Path{"attributes", "request", "http", "headers", "traceparent"}, "it is unique to the request"},
	{mesh.Path{"attributes", "request", "http", "headers", "b3"}, "it is unique to the request"},
	{mesh.Path{"attributes", "request", "http", "headers", "x-b3-traceid"}, "it is unique to the request"},
	{mesh.Path{"attributes", "request", "http", "headers", "x-b3-spanid"}, "it is unique to the request"},
	{mesh.Path{"attributes", "request", "http", "headers", "uber-trace-id"}, "it is unique to the request"},
	{mesh.Path{"attributes", "source", "address", "socketAddress", "portValue"}, "the source port changes with each connection"},
}

// deriveShape finds the shape of e.
func (g *Generation) deriveShape(e *entry) *Shape {
	a := analyse(g.compiler, e.ref)
	e.reached = a.visited
	a.indexed()
	s := &Shape{reads: map[string]Place{}, builtins: a.builtins, TTL: e.annotated}
	for _, r := range a.values {
		s.Paths = append(s.Paths, r.path)
	}
	s.Paths = outermost(s.Paths)
	for _, r := range a.kinds {
		if !slices.ContainsFunc(s.Paths, func(p mesh.Path) bool { return hasPrefix(r.path, p) }) {
			s.Kinds = append(s.Kinds, r.path)
		}
	}
	slices.SortFunc(s.Kinds, comparePaths)
	for _, p := range s.Paths {
		s.reads[p.String()] = a.values[p.String()].at
	}
	for _, p := range s.Kinds {
		s.reads[p.String()] = a.kinds[p.String()].at
	}
	s.judge(e)
	return s
}

// indexed adds the kinds that tell an element of an array from a field.
func (a *analysis) indexed() {
	for _, m := range []map[string]read{a.values, a.kinds} {
		for _, r := range slices.Collect(maps.Values(m)) {
			for i, name := range r.path {
				if i > 0 && isIndex(name) {
					p := r.path[:i]
					if _, ok := a.kinds[p.String()]; !ok {
						a.kinds[p.String()] = read{p, r.at}
					}
				}
			}
		}
	}
}

// outermost drops the paths below others, and sorts.
func outermost(paths []mesh.Path) []mesh.Path {
	slices.SortFunc(paths, comparePaths)
	out := paths[:0]
	for _, p := range paths {
		if len(out) == 0 || !hasPrefix(p, out[len(out)-1]) {
			out = append(out, p)
		}
	}
	return out
}

// judge decides whether decisions may be kept.
func (s *Shape) judge(e *entry) {
	s.Cacheable = true
	for _, p := range s.Paths {
		if len(p) == 0 {
			s.Cacheable = false
			s.Reasons = append(s.Reasons, Reason{"input", "the whole input is read, and no two are the same; " +
				"read the fields that matter, by name", s.At(p)})
			continue
		}
		for _, u := range unique {
			if !hasPrefix(p, u.path) && !hasPrefix(u.path, p) {
				continue
			}
			s.Cacheable = false
			why := u.why
			if len(p) < len(u.path) {
				why = fmt.Sprintf("it is read as a whole, %s with it: %s; read the fields that matter, by name", u.path, u.why)
			}
			s.Reasons = append(s.Reasons, Reason{p.String(), why, s.At(p)})
			break
		}
	}
	for _, name := range s.Builtins() {
		c, known := classes[name]
		switch {
		case c == pure:
			continue
		case c == token:
			s.Tokens = true
			continue
		case !known:
			c = outside
		}
		if s.TTL > 0 {
			continue
		}
		why := "its result rests on " + c.String()
		if e.objects() {
			s.NeedsTTL = true
			why += `; decisions are kept only if the result states a "cache": {"ttl": ...}`
		} else {
			s.Cacheable = false
		}
		s.Reasons = append(s.Reasons, Reason{name, why + "; an annotation may state how long one may be kept " +
			"(# METADATA, custom: {tallygate: {cache: {ttl: 30s}}})", s.builtins[name]})
	}
	s.NeedsTTL = s.NeedsTTL && s.Cacheable
}

// objects reports whether a result may be an object, which can state a TTL.
func (e *entry) objects() bool {
	for _, r := range e.rules {
		for ; r != nil; r = r.Else {
			if _, scalar := r.Head.Value.Value.(ast.Boolean); !scalar {
				return true
			}
		}
	}
	return false
}

// statedTTL reads `custom: {tallygate: {cache: {ttl: 30s}}}` from the
// annotations of e's rules, the innermost first; of several the least holds.
func (g *Generation) statedTTL(e *entry) (time.Duration, error) {
	var least time.Duration
	for _, rule := range e.rules {
		for _, ref := range g.compiler.GetAnnotationSet().Chain(rule) {
			if ref.Annotations == nil || ref.Annotations.Custom["tallygate"] == nil {
				continue
			}
			ttl, err := annotatedTTL(ref.Annotations.Custom["tallygate"])
			if err != nil {
				return 0, fmt.Errorf("%s: annotation custom.tallygate: %w", location(ref.Annotations.Location), err)
			}
			if ttl > 0 && (least == 0 || ttl < least) {
				least = ttl
			}
			break
		}
	}
	return least, nil
}

func annotatedTTL(v any) (time.Duration, error) {
	shown := `as in {cache: {ttl: 30s}}`
	m, ok := v.(map[string]any)
	if !ok {
		return 0, fmt.Errorf("is %v, not an object %s", v, shown)
	}
	for k := range m {
		if k != "cache" {
			return 0, fmt.Errorf("unknown key %q; known is cache, %s", k, shown)
		}
	}
	c, ok := m["cache"].(map[string]any)
	if !ok {
		return 0, fmt.Errorf("cache is %v, not an object %s", m["cache"], shown)
	}
	for k := range c {
		if k != "ttl" {
			return 0, fmt.Errorf("unknown key cache.%q; known is ttl, %s", k, shown)
		}
	}
	text, _ := c["ttl"].(string)
	ttl, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil || ttl <= 0 {
		return 0, fmt.Errorf("cache.ttl is %v, not a duration %s", c["ttl"], shown)
	}
	return ttl, nil
}
