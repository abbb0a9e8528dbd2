package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

// Store is an open directory. It is safe for concurrent use.
type Store struct {
	limits  atomic.Pointer[Limits]
	dir     string
	fs      vfs.FS
	db      *pebble.DB
	now     func() time.Time
	log     *slog.Logger
	edges   *storage.Edges
	sealer  sealer
	Stats   Stats
	failure atomic.Pointer[error] // the engine cannot write any more
	failed  chan struct{}         // closed with that

	requests  chan *request
	closing   chan struct{}
	committed chan struct{} // the committer has ended

	// The committer alone writes these; others read them under mu.
	mu         sync.RWMutex
	partitions []*partition
	waiting    []*jaegermodel.Span // in the log, not yet in a block
	waitSince  time.Time
	seq        uint64
}

// Limits are what may change while a store is open.
type Limits struct {
	TTL          time.Duration
	MaxBytes     int64
	MinFreeBytes int64
}

// partition is the blocks that were written in a stretch of time.
type partition struct {
	id         uint32
	begun      time.Time
	blocks     []bounds // ascending; append only
	operations map[string]struct{}
	written    int64 // bytes of batches since it was opened
}

// Stats are counters of a store.
type Stats struct {
	Written, Refused, Expired, Blocks atomic.Int64
}

// open opens the directory, creating it if it is not there.
func open(dir string, limits Limits, fs vfs.FS, now func() time.Time, every time.Duration, log *slog.Logger) (*Store, error) {
	codec, err := newCodec()
	if err != nil {
		return nil, err
	}
	s := &Store{
		dir: dir, fs: fs, now: now, log: log,
		edges:    storage.NewEdges(100_000),
		sealer:   sealer{codec: codec, terms: map[*jaegermodel.Process][]term{}},
		requests: make(chan *request), closing: make(chan struct{}), committed: make(chan struct{}),
		failed: make(chan struct{}),
	}
	s.limits.Store(&limits)
	cache := pebble.NewCache(32 << 20)
	defer cache.Unref()
	opts := &pebble.Options{
		Cache: cache, FS: fs, Logger: engineLog{s},
		MemTableSize: 16 << 20, MemTableStopWritesThreshold: 4,
		L0CompactionThreshold: 4, LBaseMaxBytes: 64 << 20,
		FormatMajorVersion: pebble.FormatNewest,
	}
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	if s.db, err = pebble.Open(dir, opts); err != nil {
		codec.close()
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	if err := s.recover(); err != nil {
		codec.close()
		return nil, errors.Join(fmt.Errorf("recovering %s: %w", dir, err), s.db.Close())
	}
	go s.run(every)
	return s, nil
}

// recover reads what the partitions hold, and the spans that wait.
func (s *Store) recover() error {
	err := s.scan([]byte{'P'}, func(k, v []byte) error {
		if len(k) != 5 || len(v) != 8 {
			return jaegermodel.ErrCorrupt
		}
		s.partitions = append(s.partitions, &partition{
			id:         binary.BigEndian.Uint32(k[1:]),
			begun:      time.UnixMicro(int64(binary.BigEndian.Uint64(v))),
			operations: map[string]struct{}{},
		})
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range s.partitions {
		if err := s.scan(key(p.id, kindBlock), func(k, v []byte) error {
			if len(k) != 14 || len(v) < boundsSize {
				return jaegermodel.ErrCorrupt
			}
			b := bounds{binary.BigEndian.Uint64(k[6:]), int64(binary.BigEndian.Uint64(v)), int64(binary.BigEndian.Uint64(v[8:]))}
			p.blocks = append(p.blocks, b)
			s.seq = max(s.seq, b.block+1)
			return nil
		}); err != nil {
			return err
		}
		if err := s.scan(key(p.id, kindWaiting), func(k, v []byte) error {
			ch, err := s.sealer.codec.unpack(v)
			if err != nil {
				return err
			}
			s.seq = max(s.seq, binary.BigEndian.Uint64(k[6:])+1)
			s.waiting, err = ch.decode(s.waiting, 0, len(ch.spans))
			return err
		}); err != nil {
			return err
		}
		if err := s.scan(key(p.id, kindDependency), func(k, _ []byte) error {
			s.seq = max(s.seq, binary.BigEndian.Uint64(k[14:])+1)
			return nil
		}); err != nil {
			return err
		}
	}
	s.waitSince = s.now()
	return nil
}

// scan calls f with every key that begins with prefix. The slices are lent.
func (s *Store) scan(prefix []byte, f func(k, v []byte) error) error {
	return scan(s.db, prefix, f)
}

func scan(r pebble.Reader, prefix []byte, f func(k, v []byte) error) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if err := f(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	return it.Error()
}

// SetLimits changes the limits for what is written from now on.
func (s *Store) SetLimits(l Limits) { s.limits.Store(&l) }

// Failure is the error that ended writing, nil if there is none.
func (s *Store) Failure() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Waiting is how many spans are not yet in a block.
func (s *Store) Waiting() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.waiting)
}

// close ends writing and closes the engine. One that has failed cannot be closed:
// the end of the process does that.
func (s *Store) close() error {
	close(s.closing)
	<-s.committed
	if err := s.Failure(); err != nil {
		return err
	}
	s.sealer.codec.close()
	return s.db.Close()
}

// latest is the partition that is written to.
func (s *Store) latest() *partition {
	if len(s.partitions) == 0 {
		return nil
	}
	return s.partitions[len(s.partitions)-1]
}

// view is what a reader sees: it holds still.
type view struct {
	partitions []partition
	waiting    []*jaegermodel.Span
}

func (s *Store) view() view {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := view{waiting: slices.Clone(s.waiting), partitions: make([]partition, len(s.partitions))}
	for i, p := range s.partitions {
		v.partitions[i] = partition{id: p.id, begun: p.begun, blocks: p.blocks}
	}
	return v
}

// engineLog passes the engine's log on. After a fatal line the engine counts on
// the process being gone; here the goroutine stands still for good, and writing
// ends.
type engineLog struct{ s *Store }

func (l engineLog) Infof(string, ...any) {}

func (l engineLog) Errorf(format string, args ...any) {
	l.s.log.Error("Local store", "engine", fmt.Sprintf(format, args...))
}

func (l engineLog) Fatalf(format string, args ...any) {
	l.s.fail(fmt.Errorf(format, args...))
	select {}
}

func (s *Store) fail(err error) {
	err = fmt.Errorf("the local store cannot write until a restart: %w", err)
	if s.failure.CompareAndSwap(nil, &err) {
		close(s.failed)
		s.log.Error("Local store", "err", err)
	}
}

// errClosed is what writers get that come too late.
var errClosed = errors.New("the local store is closed")

// Write stores the spans. It returns nil once they are on disk. The spans belong
// to the store from then on.
func (s *Store) Write(ctx context.Context, spans []*jaegermodel.Span) error {
	if len(spans) == 0 {
		return nil
	}
	r := &request{spans: spans, done: make(chan error, 1)}
	select {
	case s.requests <- r:
		return <-r.done // not ctx: it is being written
	case <-s.committed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
