package local

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

const (
	sealAfter  = 30 * time.Second // spans wait no longer for a block
	tickEvery  = 5 * time.Second
	edgesEvery = time.Minute
)

// request is one call of Write.
type request struct {
	spans []*jaegermodel.Span
	done  chan error
}

// run is the committer: what writers bring together goes to disk together, and
// every so often what is old goes.
func (s *Store) run(every time.Duration) {
	defer close(s.committed)
	tick := time.NewTicker(every)
	defer tick.Stop()
	lastEdges := s.now()
	for {
		select {
		case r := <-s.requests:
			s.serve(s.gather(r))
		case <-tick.C:
			s.guard(func() error { return s.seal(false) })
			s.guard(s.expire)
			if now := s.now(); now.Sub(lastEdges) >= edgesEvery {
				lastEdges = now
				s.guard(s.writeEdges)
			}
		case <-s.closing:
			s.guard(s.writeEdges)
			return
		}
	}
}

// gather takes the requests that are there, up to a block.
func (s *Store) gather(first *request) []*request {
	list, n := []*request{first}, len(first.spans)
	for n < blockSpans {
		select {
		case r := <-s.requests:
			list, n = append(list, r), n+len(r.spans)
		default:
			return list
		}
	}
	return list
}

func (s *Store) serve(list []*request) {
	spans := list[0].spans
	if len(list) > 1 {
		spans = append([]*jaegermodel.Span{}, spans...)
	}
	for _, r := range list[1:] {
		spans = append(spans, r.spans...)
	}
	err := s.guard(func() error { return s.commit(spans) })
	if err == nil {
		s.Stats.Written.Add(int64(len(spans)))
		s.edges.Observe(spans)
	} else {
		s.Stats.Refused.Add(int64(len(spans)))
	}
	for _, r := range list {
		r.done <- err
	}
}

// guard waits for f, or for the engine's failure, of which f does not return.
func (s *Store) guard(f func() error) error {
	if err := s.Failure(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-s.failed:
		return s.Failure()
	}
}

// commit puts the spans on disk: into blocks if there are enough of them, else
// only into the log.
func (s *Store) commit(spans []*jaegermodel.Span) error {
	if err := s.checkSpace(); err != nil {
		return err
	}
	p, err := s.partition()
	if err != nil {
		return err
	}
	if len(s.waiting)+len(spans) < blockSpans {
		batch := s.db.NewBatch()
		defer batch.Close()
		if err := batch.Set(key64(p.id, kindWaiting, s.seq), s.sealer.codec.encode(spans), nil); err != nil {
			return err
		}
		if err := s.apply(batch, p); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seq++
		if len(s.waiting) == 0 {
			s.waitSince = s.now()
		}
		s.waiting = append(s.waiting, spans...)
		return nil
	}
	all := make([]*jaegermodel.Span, 0, len(s.waiting)+len(spans))
	return s.sealAll(p, append(append(all, s.waiting...), spans...))
}

// seal puts what waits into a block if it has waited long enough.
func (s *Store) seal(now bool) error {
	if len(s.waiting) == 0 || !now && s.now().Sub(s.waitSince) < sealAfter {
		return nil
	}
	if err := s.checkSpace(); err != nil {
		return err
	}
	return s.sealAll(s.latest(), append([]*jaegermodel.Span{}, s.waiting...))
}

// sealAll writes the spans, those that wait among them, as blocks. All become
// visible, and durable, at once.
func (s *Store) sealAll(p *partition, all []*jaegermodel.Span) error {
	batch := s.db.NewBatch()
	defer batch.Close()
	var sealed []bounds
	names := map[string]struct{}{}
	for seq := s.seq; len(all) > 0; seq++ {
		n := min(len(all), blockSpans)
		for _, span := range all[:n] {
			k := string(operationKey(p.id, span.Process.Service, span.Kind(), span.Operation))
			if _, known := p.operations[k]; !known {
				names[k] = struct{}{}
			}
		}
		b, err := s.sealer.seal(batch, p.id, seq, all[:n])
		if err != nil {
			return err
		}
		sealed, all = append(sealed, b), all[n:]
	}
	for k := range names {
		if err := batch.Set([]byte(k), nil, nil); err != nil {
			return err
		}
	}
	waits := key(p.id, kindWaiting)
	if err := batch.DeleteRange(waits, after(waits), nil); err != nil {
		return err
	}
	if err := s.apply(batch, p); err != nil {
		return err
	}
	if len(p.operations) > 100_000 {
		clear(p.operations) // they are written again, which changes nothing
	}
	for k := range names {
		p.operations[k] = struct{}{}
	}
	s.Stats.Blocks.Add(int64(len(sealed)))
	s.mu.Lock()
	defer s.mu.Unlock()
	p.blocks = append(p.blocks, sealed...)
	s.seq += uint64(len(sealed))
	s.waiting = nil
	return nil
}

func (s *Store) apply(batch *pebble.Batch, p *partition) error {
	n := batch.Len()
	if err := batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("local store: %w", err)
	}
	p.written += int64(n)
	return nil
}

// writeEdges writes the edges of the last minute.
func (s *Store) writeEdges() error {
	if err := s.checkSpace(); err != nil {
		return err
	}
	list := s.edges.Take()
	p := s.latest()
	if len(list) == 0 || p == nil {
		return nil
	}
	k := binary.BigEndian.AppendUint64(key64(p.id, kindDependency, uint64(s.now().UnixMicro())), s.seq)
	if err := s.db.Set(k, appendEdges(nil, list), pebble.Sync); err != nil {
		s.edges.Restore(list)
		return fmt.Errorf("local store: edges: %w", err)
	}
	s.mu.Lock()
	s.seq++
	s.mu.Unlock()
	return nil
}

func appendEdges(b []byte, list []storage.Dependency) []byte {
	for _, d := range list {
		for _, text := range []string{d.Parent, d.Child} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
		b = binary.AppendUvarint(b, d.Calls)
	}
	return b
}

func decodeEdges(b []byte) (list []storage.Dependency, err error) {
	for len(b) > 0 {
		var texts [2]string
		for i := range texts {
			n, w := binary.Uvarint(b)
			if w <= 0 || n > uint64(len(b)-w) {
				return nil, jaegermodel.ErrCorrupt
			}
			texts[i], b = string(b[w:w+int(n)]), b[w+int(n):]
		}
		calls, w := binary.Uvarint(b)
		if w <= 0 {
			return nil, jaegermodel.ErrCorrupt
		}
		b = b[w:]
		list = append(list, storage.Dependency{Parent: texts[0], Child: texts[1], Calls: calls})
	}
	return list, nil
}
