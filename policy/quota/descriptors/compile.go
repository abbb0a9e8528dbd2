package descriptors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/quota"
)

// File is the contents of a file.
type File struct {
	Name string
	Data []byte
}

// compiler builds a Set.
type compiler struct {
	set          *Set
	file         string
	nodes        int // looked at in the file
	problems     Problems
	mergeDomains bool
	named        map[string]bool // rate_limit.name
	replaced     []reference
}

type reference struct {
	name, file string
	line       int
}

// Compile returns the limits of files. With merge several may add to one domain.
// An error is [Problems]: everything that is wrong.
func Compile(files []File, merge bool) (*Set, error) {
	c := &compiler{set: &Set{domains: map[string]*domain{}}, mergeDomains: merge, named: map[string]bool{}}
	var all Problems
	for _, f := range files {
		c.file, c.nodes, c.problems = f.Name, 0, nil
		c.read(f.Data)
		all = append(all, c.problems...)
	}
	if len(all) > 0 {
		return nil, all
	}
	for _, r := range c.replaced {
		if !c.named[r.name] {
			c.set.warnings = append(c.set.warnings,
				fmt.Sprintf("%s:%d: replaces %q, but no limit has this name", r.file, r.line, r.name))
		}
	}
	return c.set, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:unmarshal errors:\n\s*)?line (\d+): `)

func (c *compiler) read(data []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		switch err := dec.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			p := Problem{File: c.file, Message: strings.TrimPrefix(err.Error(), "yaml: ") + "; the file is not YAML"}
			if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
				p.Line, _ = strconv.Atoi(m[1])
				p.Message = err.Error()[len(m[0]):] + "; the file is not YAML"
			}
			c.problems = append(c.problems, p)
			return
		}
		if len(doc.Content) == 1 && !(doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Tag == "!!null") {
			c.root(doc.Content[0])
		}
	}
}

// root reads one domain.
func (c *compiler) root(n *yaml.Node) {
	m := c.mapping(n, "the file", "domain", "descriptors")
	if m == nil {
		return
	}
	name := ""
	if d := m["domain"]; d != nil {
		name = c.text(d, "domain")
	}
	if name == "" {
		c.bad(n, "domain is missing; it is the name that the rate limit filter asks with")
		return
	}
	d := c.set.domains[name]
	switch {
	case d == nil:
		d = &domain{name: name, override: &mesh.LimitRule{Path: name + ".override", Multiplier: 1}}
		d.file, d.line = c.file, m["domain"].Line
		c.set.domains[name] = d
	case !c.mergeDomains:
		c.bad(m["domain"], "domain %q is already in %s:%d; give it another name, or set mergeDomainsdomains to put both together", name, d.file, d.line)
		return
	}
	c.descriptors(&d.node, m["descriptors"], name, false, 1)
}

// descriptors reads a list below a place.
func (c *compiler) descriptors(at *node, n *yaml.Node, path string, dynamic bool, depth int) {
	if depth > maxDepth {
		c.bad(n, "descriptors are nested more than %d levels", maxDepth)
		return
	}
	for _, e := range c.list(n, "descriptors") {
		c.descriptor(at, e, path, dynamic, depth)
	}
}

func (c *compiler) descriptor(at *node, n *yaml.Node, path string, dynamic bool, depth int) {
	m := c.mapping(n, "a descriptor", "key", "value", "rate_limit", "descriptors",
		"shadow_mode", "quota_mode", "detailed_metric", "value_to_metric", "share_threshold")
	if m == nil {
		return
	}
	key, value := c.text(m["key"], "key"), c.text(m["value"], "value")
	if key == "" {
		c.bad(n, "a descriptor has no key; it is the descriptor_key that the proxy sends")
		return
	}
	step := key
	if value != "" {
		step += "_" + value
	}
	path += "." + step
	d := &node{
		file: c.file, line: n.Line, shadow: c.bool(m["shadow_mode"], "shadow_mode"),
		detailed: c.bool(m["detailed_metric"], "detailed_metric"), toMetric: c.bool(m["value_to_metric"], "value_to_metric"),
	}
	if c.bool(m["share_threshold"], "share_threshold") {
		if !strings.HasSuffix(value, "*") {
			c.bad(m["share_threshold"], "share_threshold is for values that end in *; the value of %s is %q", key, value)
		}
		d.pattern = value
	}
	if first := at.put(key, value, d); first != nil {
		c.bad(n, "the descriptor %s is already at %s:%d; remove one", path, first.file, first.line)
		return
	}
	dynamic = dynamic || d.toMetric
	if l := m["rate_limit"]; l != nil {
		if d.rule = c.limit(l, path, c.bool(m["quota_mode"], "quota_mode")); d.rule != nil {
			d.dynamic = dynamic || d.detailed
			c.set.rules = append(c.set.rules, d.rule)
		}
	}
	if sub := m["descriptors"]; sub != nil {
		c.descriptors(d, sub, path, dynamic, depth+1)
	}
}

// put adds a place, or returns the one that is there already.
func (n *node) put(key, value string, d *node) (there *node) {
	switch {
	case strings.HasSuffix(value, "*"):
		return n.putWildcard(wildcard{key: key, prefix: strings.TrimSuffix(value, "*"), node: d})
	case value != "":
		e := mesh.DescriptorEntry{Key: key, Value: value}
		if there = n.values[e]; there == nil {
			if n.values == nil {
				n.values = map[mesh.DescriptorEntry]*node{}
			}
			n.values[e] = d
		}
	case strings.HasSuffix(key, "*"):
		return n.putWildcard(wildcard{prefix: strings.TrimSuffix(key, "*"), anyKey: true, node: d})
	default:
		if there = n.keys[key]; there == nil {
			if n.keys == nil {
				n.keys = map[string]*node{}
			}
			n.keys[key] = d
		}
	}
	return there
}

func (n *node) putWildcard(w wildcard) (there *node) {
	for i := range n.wild {
		if o := &n.wild[i]; o.key == w.key && o.prefix == w.prefix && o.anyKey == w.anyKey {
			return o.node
		}
	}
	n.wild = append(n.wild, w)
	return nil
}

// limit reads a rate_limit; nil is one that is wrong.
func (c *compiler) limit(n *yaml.Node, path string, quotaMode bool) *mesh.LimitRule {
	m := c.mapping(n, "rate_limit", "unit", "requests_per_unit", "unit_multiplier", "unlimited", "name", "replaces")
	if m == nil {
		return nil
	}
	r := &mesh.LimitRule{
		Path: path, Name: c.text(m["name"], "name"), Multiplier: 1,
		Unlimited: c.bool(m["unlimited"], "unlimited"), QuotaMode: quotaMode,
	}
	before := len(c.problems)
	c.period(n, m, r)
	switch {
	case m["requests_per_unit"] != nil:
		r.Requests = c.number(m["requests_per_unit"], "requests_per_unit", 0)
	case !r.Unlimited:
		c.bad(n, "requests_per_unit is missing; 0 refuses every request, unlimited: true none")
	}
	for _, e := range c.list(m["replaces"], "replaces") {
		name := ""
		if one := c.mapping(e, "replaces", "name"); one != nil {
			name = c.text(one["name"], "name")
		}
		switch name {
		case "":
			c.bad(e, "an element of replaces has no name; it is that of the rate_limit to replace")
		case r.Name:
			c.bad(e, "the limit replaces itself; name another one")
		}
		r.Replaces = append(r.Replaces, name)
		c.replaced = append(c.replaced, reference{name, c.file, e.Line})
	}
	if len(c.problems) > before {
		return nil
	}
	if r.Name != "" {
		c.named[r.Name] = true
	}
	return r
}

// period reads unit and unit_multiplier.
func (c *compiler) period(n *yaml.Node, m map[string]*yaml.Node, r *mesh.LimitRule) {
	if m["unit_multiplier"] != nil {
		r.Multiplier = c.number(m["unit_multiplier"], "unit_multiplier", 1)
	}
	unit := ""
	if m["unit"] != nil {
		unit = c.text(m["unit"], "unit")
	}
	if r.Unlimited {
		if unit != "" {
			c.bad(m["unit"], "unit says nothing of an unlimited limit; remove one of the two")
		}
		return
	}
	if unit == "" {
		c.bad(n, "unit is missing; it is one of second, minute, hour, day, week, month, year")
		return
	}
	var ok bool
	if r.Unit, ok = mesh.ParseLimitUnit(strings.ToLower(unit)); !ok {
		c.bad(m["unit"], "unit is %q, not one of second, minute, hour, day, week, month, year", unit)
		return
	}
	q := newQuota(r.Path, max(r.Requests, 1), r.Unit, r.Multiplier, &mesh.Descriptor{})
	if err := quota.Check(&q); err != nil {
		c.bad(n, "the limit cannot be kept: %s", err)
	}
}
