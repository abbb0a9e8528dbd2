package opa

import (
	"context"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"
)

// store is the base document, for reading.
type store struct {
	storage.Store            // of data
	data          ast.Object // with an empty object for each that is packed
	packed        []*packed
	everything    func() ast.Object
}

func newStore(data ast.Object, ps []*packed) *store {
	return &store{Store: inmem.NewFromASTObject(data), data: data, packed: ps, everything: sync.OnceValue(func() ast.Object {
		all := data
		for _, p := range ps {
			all = p.into(all, p.whole())
		}
		return all
	})}
}

// has reports whether something is at path.
func (s *store) has(path storage.Path) bool {
	for _, p := range s.packed {
		if n := len(p.path); len(path) > n && slices.Equal(path[:n], p.path) {
			return descend(p.get(path[n]), path[n+1:]) != nil
		}
	}
	return descend(s.data, path) != nil
}

// unpack returns a store that has values of all that is packed, but where keep
// says otherwise.
func (s *store) unpack(keep func(*packed) bool, pc *pacer) *store {
	data := s.data
	var kept []*packed
	for _, p := range s.packed {
		if keep(p) {
			kept = append(kept, p)
			continue
		}
		data = p.into(data, p.unpack(pc))
	}
	if len(kept) == len(s.packed) {
		return s
	}
	return newStore(data, kept)
}

// Read returns an ast.Value.
func (s *store) Read(ctx context.Context, txn storage.Transaction, path storage.Path) (any, error) {
	for _, p := range s.packed {
		switch n := len(p.path); {
		case len(path) > n && slices.Equal(path[:n], p.path):
			if v := descend(p.get(path[n]), path[n+1:]); v != nil {
				return v, nil
			}
			return nil, &storage.Error{Code: storage.NotFoundErr, Message: path.String()}
		case len(path) == n && slices.Equal(path, p.path):
			return p.whole(), nil
		case len(path) < n && slices.Equal(path, p.path[:len(path)]):
			return descend(s.everything(), path), nil
		}
	}
	return s.Store.Read(ctx, txn, path)
}

// descend returns what is at path in v, nil if nothing is.
func descend(v ast.Value, path storage.Path) ast.Value {
	for _, name := range path {
		switch at := v.(type) {
		case ast.Object:
			t := at.Get(ast.StringTerm(name))
			if t == nil {
				return nil
			}
			v = t.Value
		case *ast.Array:
			i, ok := util.Atoi(name)
			if !ok || i < 0 || i >= at.Len() {
				return nil
			}
			v = at.Elem(i).Value
		default:
			return nil
		}
	}
	return v
}
