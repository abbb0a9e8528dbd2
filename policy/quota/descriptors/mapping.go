package descriptors

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of what a file may ask for with aliases.
const (
	maxDepth = 64
	maxNodes = 1 << 20
)

// mapping returns the values of a mapping by their keys, which must be among
// known. what is the name of the mapping in messages.
func (c *compiler) mapping(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	if n = c.resolve(n); n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		c.bad(n, "%s is not a mapping; its keys are %s", what, strings.Join(known, ", "))
		return nil
	}
	values := map[string]*yaml.Node{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		if first, ok := values[key.Value]; ok {
			c.bad(key, "%s is given again; it is already at line %d: remove one", key.Value, first.Line)
			continue
		}
		if !c.isKnown(key, what, known) {
			continue
		}
		values[key.Value] = value
	}
	for _, m := range merged {
		for k, v := range c.merge(m, what, known) {
			if _, ok := values[k]; !ok {
				values[k] = v
			}
		}
	}
	return values
}

// merge returns what << adds: a mapping, or a list of them of which earlier ones
// win.
func (c *compiler) merge(n *yaml.Node, what string, known []string) map[string]*yaml.Node {
	if n = c.resolve(n); n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return c.mapping(n, what, known...)
	}
	all := map[string]*yaml.Node{}
	for _, m := range n.Content {
		for k, v := range c.mapping(m, what, known...) {
			if _, ok := all[k]; !ok {
				all[k] = v
			}
		}
	}
	return all
}

func (c *compiler) isKnown(key *yaml.Node, what string, known []string) bool {
	for _, k := range known {
		if k == key.Value {
			return true
		}
	}
	for _, k := range known {
		if strings.EqualFold(strings.ReplaceAll(key.Value, "-", "_"), k) {
			c.bad(key, "unknown key %q of %s; it is written %s", key.Value, what, k)
			return false
		}
	}
	c.bad(key, "unknown key %q of %s; there are %s", key.Value, what, strings.Join(known, ", "))
	return false
}

// resolve follows an alias. It returns nil once too much was asked for.
func (c *compiler) resolve(n *yaml.Node) *yaml.Node {
	if c.nodes++; c.nodes > maxNodes {
		if c.nodes == maxNodes+1 {
			c.bad(n, "the aliases of the file come to more than %d values", maxNodes)
		}
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// list returns the elements of a list; none of an absent or empty value.
func (c *compiler) list(n *yaml.Node, what string) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n = c.resolve(n); n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		c.bad(n, "%s is not a list; begin each element with a dash", what)
		return nil
	}
	return n.Content
}

// text returns a scalar as it is written; numbers and booleans are text too.
func (c *compiler) text(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	if n = c.resolve(n); n == nil || n.Tag == "!!null" {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		c.bad(n, "%s is not a text", what)
		return ""
	}
	return n.Value
}

func (c *compiler) bool(n *yaml.Node, what string) (b bool) {
	if n == nil {
		return false
	}
	if n = c.resolve(n); n == nil {
		return false
	}
	if err := n.Decode(&b); err != nil {
		c.bad(n, "%s is %q; it is true or false", what, n.Value)
		return false
	}
	return b
}

// number returns a number between least and the largest of 32 bits.
func (c *compiler) number(n *yaml.Node, what string, least int64) uint32 {
	if n = c.resolve(n); n == nil {
		return 0
	}
	var v int64
	if err := n.Decode(&v); err != nil || n.Tag == "!!null" || v < least || v > 1<<32-1 {
		c.bad(n, "%s is %q; it is a whole number between %d and %d", what, n.Value, least, int64(1<<32-1))
		return uint32(least)
	}
	return uint32(v)
}
