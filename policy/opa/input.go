package opa

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/tallygate/tallygate/mesh"
)

// node is a part of the plan by which the input is built: the paths of a shape
// as a tree.
type node struct {
	key      *ast.Term
	path     mesh.Path
	value    bool // built as it is; has no children
	kind     bool // there, if only empty
	children []*node
}

func newPlan(s *Shape) *node {
	root := &node{}
	for _, p := range s.Paths {
		root.at(p).value = true
	}
	for _, p := range s.Kinds {
		root.at(p).kind = true
	}
	return root
}

func (n *node) at(p mesh.Path) *node {
	for i, name := range p {
		j := slices.IndexFunc(n.children, func(c *node) bool { return string(c.key.Value.(ast.String)) == name })
		if j < 0 {
			j = len(n.children)
			n.children = append(n.children, &node{key: ast.StringTerm(name), path: slices.Clone(p[:i+1])})
		}
		n = n.children[j]
	}
	return n
}

// build makes the part of the input that n stands for; nil if there is nothing.
// It keeps no memory of r.
func (n *node) build(r mesh.Request) *ast.Term {
	if n.value {
		v, ok := r.Lookup(n.path)
		if !ok {
			return nil
		}
		return term(&v)
	}
	if n.kind {
		k, ok := mesh.Probe(r, n.path)
		if !ok {
			return nil
		}
		switch k {
		case mesh.KindObject:
		case mesh.KindArray:
			return n.array(r)
		default:
			return placeholder(k)
		}
	}
	items := make([][2]*ast.Term, 0, len(n.children))
	for _, c := range n.children {
		if t := c.build(r); t != nil {
			items = append(items, [2]*ast.Term{c.key, t})
		}
	}
	if len(items) == 0 && !n.kind && n.path != nil {
		return nil
	}
	return ast.NewTerm(ast.NewObject(items...))
}

// array makes an array of the elements that are read, with null for those before
// and between them that are not.
func (n *node) array(r mesh.Request) *ast.Term {
	var elems []*ast.Term
	for _, c := range n.children {
		if !isIndex(c.path[len(c.path)-1]) {
			continue
		}
		t := c.build(r)
		if t == nil {
			continue
		}
		i, err := strconv.Atoi(c.path[len(c.path)-1])
		if err != nil {
			continue
		}
		for len(elems) <= i {
			elems = append(elems, ast.NullTerm())
		}
		elems[i] = t
	}
	return ast.ArrayTerm(elems...)
}

// placeholder stands for a value of which only the kind can be read.
func placeholder(k mesh.Kind) *ast.Term {
	switch k {
	case mesh.KindBool:
		return ast.InternedTerm(true)
	case mesh.KindNumber:
		return ast.InternedTerm(0)
	case mesh.KindString:
		return ast.InternedEmptyString
	}
	return ast.NullTerm()
}

// term makes OPA's value of v, with its own memory: what is lent would live on
// in the caches of built-in functions.
func term(v *mesh.Value) *ast.Term {
	switch v.Kind {
	case mesh.KindBool:
		return ast.InternedTerm(v.Bool)
	case mesh.KindNumber:
		return ast.NumberTerm(json.Number(strings.Clone(v.Text)))
	case mesh.KindString:
		return ast.StringTerm(strings.Clone(v.Text))
	case mesh.KindArray:
		elems := make([]*ast.Term, len(v.Elems))
		for i := range v.Elems {
			elems[i] = term(&v.Elems[i])
		}
		return ast.ArrayTerm(elems...)
	case mesh.KindObject:
		items := make([][2]*ast.Term, len(v.Fields))
		for i := range v.Fields {
			f := &v.Fields[i]
			items[i] = [2]*ast.Term{ast.StringTerm(strings.Clone(f.Name)), term(&f.Value)}
		}
		return ast.ObjectTerm(items...)
	}
	return ast.NullTerm()
}
