package local

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

var _ storage.Reader = (*Store)(nil)

// Services implements [storage.Reader].
func (s *Store) Services(ctx context.Context) ([]string, error) {
	v := s.view()
	var names []string
	for _, span := range v.waiting {
		names = append(names, span.Process.Service)
	}
	for _, p := range v.partitions {
		prefix := key(p.id, kindOperation)
		it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
		if err != nil {
			return nil, err
		}
		for ok := it.First(); ok; {
			service, _, valid := cutText(it.Key()[len(prefix):])
			if !valid {
				it.Close()
				return nil, jaegermodel.ErrCorrupt
			}
			names = append(names, service)
			ok = it.SeekGE(after(operationPrefix(p.id, service)))
		}
		if err := it.Close(); err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Operations implements [storage.Reader].
func (s *Store) Operations(_ context.Context, service, kind string) ([]storage.Operation, error) {
	v := s.view()
	var ops []storage.Operation
	add := func(op storage.Operation) {
		if kind == "" || kind == op.Kind {
			ops = append(ops, op)
		}
	}
	for _, span := range v.waiting {
		if span.Process.Service == service {
			add(storage.Operation{Name: span.Operation, Kind: span.Kind()})
		}
	}
	for _, p := range v.partitions {
		prefix := operationPrefix(p.id, service)
		err := s.scan(prefix, func(k, _ []byte) error {
			kind, name, valid := cutText(k[len(prefix):])
			if !valid {
				return jaegermodel.ErrCorrupt
			}
			add(storage.Operation{Name: name, Kind: kind})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	storage.SortOperations(ops)
	return slices.Compact(ops), nil
}

// cutText splits a length-prefixed text from what follows it.
func cutText(b []byte) (text, rest string, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return "", "", false
	}
	return string(b[w : w+int(n)]), string(b[w+int(n):]), true
}

// Trace implements [storage.Reader].
func (s *Store) Trace(ctx context.Context, id jaegermodel.TraceID) (*jaegermodel.Trace, error) {
	t, err := s.newFetcher(s.view()).trace(ctx, id)
	if err == nil && len(t.Spans) == 0 {
		return nil, storage.ErrNotFound
	}
	return t, err
}

// Dependencies implements [storage.Reader].
func (s *Store) Dependencies(_ context.Context, from, to time.Time) ([]storage.Dependency, error) {
	var list []storage.Dependency
	if now := s.now(); !now.Before(from) && now.Before(to.Add(edgesEvery)) {
		list = s.edges.Counted() // of the last minute: not yet written
	}
	for _, p := range s.view().partitions {
		err := s.scan(key(p.id, kindDependency), func(k, v []byte) error {
			at := time.UnixMicro(int64(binary.BigEndian.Uint64(k[6:])))
			if at.Before(from) || !at.Before(to) {
				return nil
			}
			more, err := decodeEdges(v)
			list = append(list, more...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return storage.SumDependencies(list), nil
}

// fetcher reads whole traces; it keeps the chunks that it has unpacked.
type fetcher struct {
	s      *Store
	v      view
	chunks map[chunkID]*chunk
	buf    []byte
}

type chunkID struct {
	block uint64
	chunk int
}

func (s *Store) newFetcher(v view) *fetcher {
	return &fetcher{s: s, v: v, chunks: map[chunkID]*chunk{}}
}

// trace returns the trace, each of its spans once.
func (f *fetcher) trace(ctx context.Context, id jaegermodel.TraceID) (*jaegermodel.Trace, error) {
	t := &jaegermodel.Trace{}
	for _, s := range f.v.waiting {
		if s.TraceID == id {
			t.Spans = append(t.Spans, s)
		}
	}
	for _, p := range f.v.partitions {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		prefix := tracePrefix(p.id, id)
		err := f.s.scan(prefix, func(k, v []byte) error {
			first, w := binary.Uvarint(v)
			n, w2 := binary.Uvarint(v[max(w, 0):])
			if len(k) != len(prefix)+8 || w <= 0 || w2 <= 0 || first+n > blockSpans {
				return jaegermodel.ErrCorrupt
			}
			return f.append(t, p.id, binary.BigEndian.Uint64(k[len(prefix):]), int(first), int(n))
		})
		if err != nil {
			return nil, fmt.Errorf("local store: trace %s: %w", id, err)
		}
	}
	f.unique(t)
	storage.SortSpans(t.Spans)
	return t, nil
}

// append appends n spans of a block from place first on.
func (f *fetcher) append(t *jaegermodel.Trace, p uint32, block uint64, first, n int) error {
	for place := first; place < first+n; {
		ch, err := f.chunk(p, block, place/chunkSpans)
		if err != nil {
			return err
		}
		in := place % chunkSpans
		take := min(first+n-place, chunkSpans-in)
		if t.Spans, err = ch.decode(t.Spans, in, take); err != nil {
			return err
		}
		place += take
	}
	return nil
}

func (f *fetcher) chunk(p uint32, block uint64, n int) (*chunk, error) {
	id := chunkID{block, n}
	if ch, ok := f.chunks[id]; ok {
		return ch, nil
	}
	packed, closer, err := f.s.db.Get(chunkKey(p, block, n))
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	ch, err := f.s.sealer.codec.unpack(packed)
	if err != nil {
		return nil, err
	}
	if len(f.chunks) > 256 {
		clear(f.chunks)
	}
	f.chunks[id] = ch
	return ch, nil
}

// unique drops what was written more than once.
func (f *fetcher) unique(t *jaegermodel.Trace) {
	type ident struct {
		id   jaegermodel.SpanID
		hash uint64
	}
	seen := make(map[ident]struct{}, len(t.Spans))
	t.Spans = slices.DeleteFunc(slices.Clone(t.Spans), func(s *jaegermodel.Span) bool {
		k := ident{id: s.SpanID}
		k.hash, f.buf = s.Hash(f.buf)
		_, dup := seen[k]
		seen[k] = struct{}{}
		return dup
	})
}
