package opa

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
)

// Generation is one immutable set of policies and data, for any number of
// goroutines.
type Generation struct {
	ID       uint64 // of this process; never used again
	Revision string
	Files    []string  // read for it
	Loaded   time.Time // when it was compiled

	compiler   *ast.Compiler
	store      *store
	unpacked   []unpacked // large objects of the data that are no longer text
	txn        storage.Transaction
	interQuery cache.InterQueryCache
	values     cache.InterQueryValueCache
	transport  topdown.CustomizeRoundTripper
	tokens     *tokenMemory         // nil if none can be decoded
	entries    map[string]*entry    // by name; "" is the default
	constants  topdown.VirtualCache // values of rules that rest on data alone; nil if not known
}

// ErrNoEntrypoint is wrapped by the errors about entrypoints that the
// configuration does not name.
var ErrNoEntrypoint = errors.New("no such entrypoint")

// entry is an entrypoint ready to be evaluated.
type entry struct {
	name      string
	ref       ast.Ref
	query     ast.Body
	qc        ast.QueryCompiler
	shape     *Shape
	plan      *node // of the input
	rules     []*ast.Rule
	reached   map[*ast.Rule]bool // by any way
	rule      string             // the package path of the rule, without data
	tokens    bool               // tokens may be decoded
	annotated time.Duration
}

// resultVar holds the answer of a query.
const resultVar = ast.Var("tallygate_result")

// Entrypoints returns the names of the entrypoints, "" the default among them.
func (g *Generation) Entrypoints() []string { return slices.Sorted(maps.Keys(g.entries)) }

// Shape returns the shape of an entrypoint; "" is the default one.
func (g *Generation) Shape(entrypoint string) (*Shape, error) {
	e, err := g.entry(entrypoint)
	if err != nil {
		return nil, err
	}
	return e.shape, nil
}

func (g *Generation) entry(name string) (*entry, error) {
	if e := g.entries[name]; e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("entrypoint %q: %w: there are %s", name, ErrNoEntrypoint, quoted(g.Entrypoints()))
}

func quoted(names []string) string {
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", n)
	}
	return b.String()
}

// entrypointRef reads "a/b/c", "data.a.b.c" or "a.b.c" as a reference to a rule.
func entrypointRef(path string) (ast.Ref, error) {
	path = strings.TrimPrefix(strings.Trim(path, "/"), "data.")
	sep := "."
	if strings.Contains(path, "/") {
		sep = "/"
	}
	ref := ast.Ref{ast.DefaultRootDocument}
	for e := range strings.SplitSeq(path, sep) {
		if e == "" {
			return nil, fmt.Errorf("%q is not the path of a rule, as envoy/authz/allow", path)
		}
		ref = append(ref, ast.StringTerm(e))
	}
	return ref, nil
}

func (g *Generation) addEntries(cfg *Config) error {
	named := map[string]string{"": cfg.Entrypoint}
	maps.Copy(named, cfg.Entrypoints)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(named)) {
		e, err := g.newEntry(name, named[name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		g.entries[name] = e
	}
	return errors.Join(errs...)
}

func (g *Generation) newEntry(name, path string) (*entry, error) {
	key := "entrypoint"
	if name != "" {
		key = "entrypoints." + name
	}
	ref, err := entrypointRef(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	e := &entry{name: name, ref: ref, rule: strings.TrimPrefix(ref.String(), "data.")}
	for _, r := range g.compiler.GetRulesExact(ref) {
		if len(r.Head.Args) == 0 && r.Head.RuleKind() == ast.SingleValue && r.Head.Ref().IsGround() {
			e.rules = append(e.rules, r)
		}
	}
	if len(e.rules) == 0 {
		return nil, fmt.Errorf("%s: there is no rule data.%s; there are %s",
			key, e.rule, strings.Join(g.candidates(), ", "))
	}
	e.ownHeads()
	q, err := g.newQuery(ast.NewTerm(ref))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	e.query, e.qc = q.query, q.qc
	e.annotated, err = g.statedTTL(e)
	if err != nil {
		return nil, err
	}
	e.shape = g.deriveShape(e)
	e.plan = newPlan(e.shape)
	for name := range e.shape.builtins {
		e.tokens = e.tokens || classes[name] == token
	}
	if e.tokens && g.tokens == nil {
		g.tokens = newTokenMemory()
	}
	return e, nil
}

// newQuery returns an entry that can be evaluated, to the value of t, and nothing
// else.
func (g *Generation) newQuery(t *ast.Term) (*entry, error) {
	qc := g.compiler.QueryCompiler()
	query, err := qc.Compile(ast.NewBody(ast.Equality.Expr(ast.NewTerm(resultVar), t)))
	if err != nil {
		return nil, err
	}
	return &entry{query: query, qc: qc}, nil
}

// candidates lists the rules that an entrypoint could name.
func (g *Generation) candidates() []string {
	set := map[string]bool{}
	for _, m := range g.compiler.Modules {
		for _, r := range m.Rules {
			if len(r.Head.Args) == 0 && r.Head.RuleKind() == ast.SingleValue && r.Head.Ref().IsGround() {
				set[strings.ReplaceAll(strings.TrimPrefix(r.Ref().String(), "data."), ".", "/")] = true
			}
		}
	}
	names := slices.Sorted(maps.Keys(set))
	if len(names) == 0 {
		return []string{"none"}
	}
	if len(names) > 20 {
		names = append(names[:20], fmt.Sprintf("and %d more", len(names)-20))
	}
	return names
}
