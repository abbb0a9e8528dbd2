package local

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

// FindTraces implements [storage.Reader].
func (s *Store) FindTraces(ctx context.Context, q storage.Query) ([]*jaegermodel.Trace, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	v := s.view()
	hits := hits{limit: q.Limit, latest: map[jaegermodel.TraceID]int64{}}
	for _, span := range v.waiting {
		if q.Matches(span) {
			hits.add(span.TraceID, span.Start)
		}
	}
	for _, p := range slices.Backward(v.partitions) {
		if err := s.searchPartition(ctx, &p, &q, &hits); err != nil {
			return nil, err
		}
	}
	f := s.newFetcher(v)
	var found []*jaegermodel.Trace
	for _, id := range hits.newest() {
		if len(found) == q.Limit {
			break
		}
		t, err := f.trace(ctx, id)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(t.Spans, q.Matches) { // else two terms have one hash
			found = append(found, t)
		}
	}
	return found, nil
}

// hits are the traces that were found, with their latest match.
type hits struct {
	limit  int
	latest map[jaegermodel.TraceID]int64
}

func (h *hits) add(id jaegermodel.TraceID, start int64) {
	if old, ok := h.latest[id]; !ok || start > old {
		h.latest[id] = start
	}
}

// bar is the start below which nothing can come among the first limit.
func (h *hits) bar() int64 {
	if len(h.latest) < h.limit {
		return math.MinInt64
	}
	starts := make([]int64, 0, len(h.latest))
	for _, at := range h.latest {
		starts = append(starts, at)
	}
	slices.Sort(starts)
	return starts[len(starts)-h.limit]
}

func (h *hits) newest() []jaegermodel.TraceID {
	ids := make([]jaegermodel.TraceID, 0, len(h.latest))
	for id := range h.latest {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b jaegermodel.TraceID) int {
		return cmp.Or(cmp.Compare(h.latest[b], h.latest[a]), bytes.Compare(a[:], b[:]))
	})
	return ids
}

// searchPartition walks the blocks that have every term, latest first, until
// those that are left are all older than what was found.
func (s *Store) searchPartition(ctx context.Context, p *partition, q *storage.Query, h *hits) error {
	// newest[i] is the latest start of the blocks up to the i-th.
	newest := make([]int64, len(p.blocks))
	for i, b := range p.blocks {
		newest[i] = b.max
		if i > 0 {
			newest[i] = max(newest[i], newest[i-1])
		}
	}
	w, err := s.newWalk(ctx, p.id, q)
	if err == nil {
		err = s.walkBlocks(ctx, p, newest, w, q, h)
	}
	return errors.Join(err, w.close())
}

func (s *Store) walkBlocks(ctx context.Context, p *partition, newest []int64, w *walk, q *storage.Query, h *hits) error {
	bar := h.bar()
	for i := len(p.blocks) - 1; i >= 0; i-- {
		if newest[i] < bar || newest[i] < q.Start.UnixMicro() {
			return nil
		}
		b := p.blocks[i]
		if b.max < q.Start.UnixMicro() || b.min > q.End.UnixMicro() || b.max < bar {
			continue
		}
		block, ok := w.at(b.block)
		if !ok {
			return nil
		}
		if block != b.block { // none between has all terms
			i = below(p.blocks, block+1)
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		found := w.places(block)
		if len(found) == 0 {
			continue
		}
		if err := s.collect(p.id, block, found, q, h); err != nil {
			return err
		}
		bar = h.bar()
	}
	return nil
}

// below is the index of the first block that is not below n: the loop over them
// goes on with the one before.
func below(blocks []bounds, n uint64) int {
	i, _ := slices.BinarySearchFunc(blocks, n, func(b bounds, n uint64) int { return cmp.Compare(b.block, n) })
	return i
}

// collect takes those places whose times fit.
func (s *Store) collect(p uint32, block uint64, found []uint16, q *storage.Query, h *hits) error {
	table, closer, err := s.db.Get(key64(p, kindBlock, block))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil // expired since
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	for _, place := range found {
		at := boundsSize + int(place)*rowSize
		if at+rowSize > len(table) {
			return jaegermodel.ErrCorrupt
		}
		row := table[at : at+rowSize]
		start, duration := int64(binary.BigEndian.Uint64(row[16:])), int64(binary.BigEndian.Uint64(row[24:]))
		if q.InTime(start) && q.InDuration(duration) {
			h.add(jaegermodel.TraceID(row[:16]), start)
		}
	}
	return nil
}

// walk goes through the blocks of a partition that have all of some terms, from
// the latest on.
type walk struct {
	all [][]*termIter // each is met if one of its terms is
}

// termIter walks the blocks that have one term.
type termIter struct {
	*pebble.Iterator
	prefix []byte
	block  uint64
	state  int8 // where it is
}

const (
	unmoved = iota
	onBlock
	atEnd
)

func (s *Store) newWalk(ctx context.Context, p uint32, q *storage.Query) (*walk, error) {
	w := &walk{}
	var errs []error
	add := func(terms ...term) {
		var any []*termIter
		for _, t := range terms {
			prefix := key64(p, kindTerm, t)
			it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
			if err != nil {
				errs = append(errs, err)
				continue
			}
			any = append(any, &termIter{Iterator: it, prefix: prefix})
		}
		w.all = append(w.all, any)
	}
	for k, v := range q.Tags {
		t, _ := tagTerm(nil, q.Service, k, v)
		add(t)
	}
	switch {
	case q.MinDuration != 0 || q.MaxDuration != 0:
		from, to := durationBits(q.MinDuration.Microseconds()), 63
		if q.MaxDuration != 0 {
			to = durationBits(q.MaxDuration.Microseconds())
		}
		var terms []term
		for n := from; n <= to; n++ {
			terms = append(terms, durationTerm(q.Service, q.Operation, n))
		}
		add(terms...)
	case q.Operation != "":
		add(operationTerm(q.Service, q.Operation))
	case len(q.Tags) == 0: // a tag's term has the service in it
		add(serviceTerm(q.Service))
	}
	return w, errors.Join(errs...)
}

// at moves to the latest block, not above n, that has every term.
func (w *walk) at(n uint64) (uint64, bool) {
	for i := 0; i < len(w.all); {
		best, ok := uint64(0), false
		for _, it := range w.all[i] {
			if it.seek(n) && (!ok || it.block > best) {
				best, ok = it.block, true
			}
		}
		if !ok {
			return 0, false
		}
		if best < n {
			n = best
			if i > 0 {
				i = 0 // those before must follow
				continue
			}
		}
		i++
	}
	return n, true
}

// seek moves to the last block not above n, which never grows.
func (t *termIter) seek(n uint64) bool {
	if t.state == atEnd || t.state == onBlock && t.block <= n {
		return t.state == onBlock
	}
	t.state = atEnd
	if t.SeekLT(binary.BigEndian.AppendUint64(slices.Clip(t.prefix), n+1)) && len(t.Key()) == len(t.prefix)+8 {
		t.block, t.state = binary.BigEndian.Uint64(t.Key()[len(t.prefix):]), onBlock
	}
	return t.state == onBlock
}

// places returns where in the block that at found all terms meet.
func (w *walk) places(block uint64) []uint16 {
	var found []uint16
	for i, any := range w.all {
		var some []uint16
		for _, it := range any {
			if it.state == onBlock && it.block == block {
				some = merge(some, places(it.Value()))
			}
		}
		if i == 0 {
			found = some
		} else if found = intersect(found, some); len(found) == 0 {
			return nil
		}
	}
	return found
}

// close returns the first error of the walk.
func (w *walk) close() error {
	var errs []error
	for _, any := range w.all {
		for _, it := range any {
			errs = append(errs, it.Close())
		}
	}
	return errors.Join(errs...)
}
