package cassandra

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/tallygate/tallygate/jaegermodel"
)

// writer writes spans with all their rows.
type writer struct {
	client   *client
	index    *indexer
	names    *nameCache
	inFlight chan struct{}
	attempts int
	stats    *stats
}

// stats are counters of an exporter.
type stats struct {
	written, returned, dropped atomic.Int64 // spans
	skipped                    atomic.Int64 // index rows
	retried                    atomic.Int64 // statements
	statements                 [numStatements]atomic.Int64
	edges, edgesFailed         atomic.Int64
}

func newWriter(cfg *Config, c *client, s *stats) *writer {
	return &writer{
		client: c, index: newIndexer(cfg.Index, &s.skipped), names: newNameCache(cfg.Schema.TraceTTL),
		inFlight: make(chan struct{}, cfg.MaxInFlight), attempts: cfg.Query.MaxAttempts, stats: s,
	}
}

// outcome says which spans are not written, and why.
type outcome struct {
	mu        sync.Mutex
	again     map[int]struct{} // for a reason that may pass
	refused   map[int]struct{} // for good
	err, last error
}

func (o *outcome) failed(st *statement, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	into := o.again
	if permanent(err) {
		into, o.last = o.refused, err
	} else {
		o.err = err
	}
	for _, i := range st.spans {
		into[i] = struct{}{}
	}
}

// write writes the spans. Those whose index is in again may be written again; those
// in refused never will be. It waits for all that it has begun.
func (w *writer) write(ctx context.Context, spans []*jaegermodel.Span) (*outcome, error) {
	session, err := w.client.get(ctx)
	if err != nil {
		w.stats.returned.Add(int64(len(spans)))
		return nil, err
	}
	o := &outcome{again: map[int]struct{}{}, refused: map[int]struct{}{}}
	var wg sync.WaitGroup
	w.index.plan(spans, w.names, func(st *statement) {
		select {
		case w.inFlight <- struct{}{}:
		case <-ctx.Done():
			o.failed(st, ctx.Err())
			return
		}
		wg.Go(func() {
			defer func() { <-w.inFlight }()
			w.execute(ctx, session, st, o)
		})
	})
	wg.Wait()
	for i := range o.refused {
		delete(o.again, i)
	}
	w.stats.returned.Add(int64(len(o.again)))
	w.stats.dropped.Add(int64(len(o.refused)))
	w.stats.written.Add(int64(len(spans) - len(o.again) - len(o.refused)))
	return o, nil
}

// execute runs the statement, at most attempts times. What is refused as a batch is
// tried row by row, so that one row does not take others with it.
func (w *writer) execute(ctx context.Context, session *gocql.Session, st *statement, o *outcome) {
	var err error
	pause := 50 * time.Millisecond
	for n := range w.attempts {
		if n > 0 {
			w.stats.retried.Add(1)
			if !sleep(ctx, pause) {
				break
			}
			pause *= 4
		}
		w.stats.statements[st.into].Add(1)
		if err = run(ctx, session, st); err == nil {
			if st.name != "" {
				w.names.written(st.name)
			}
			return
		}
		if permanent(err) || ctx.Err() != nil {
			break
		}
	}
	if permanent(err) && len(st.rows) > 1 {
		for i := range st.rows {
			w.execute(ctx, session, &statement{into: st.into, rows: st.rows[i : i+1], spans: st.spans[i : i+1]}, o)
		}
		return
	}
	o.failed(st, fmt.Errorf("writing to %s: %w", tableNames[st.into], err))
}

func run(ctx context.Context, session *gocql.Session, st *statement) error {
	if len(st.rows) == 1 {
		return session.Query(inserts[st.into], st.rows[0]...).ExecContext(ctx)
	}
	batch := session.Batch(gocql.UnloggedBatch)
	for _, values := range st.rows {
		batch.Query(inserts[st.into], values...)
	}
	return batch.ExecContext(ctx)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// permanent reports whether the same statement can never succeed: Cassandra
// refuses it, or it cannot be put into words.
func permanent(err error) bool {
	if e, ok := errors.AsType[gocql.RequestError](err); ok {
		switch e.Code() {
		case gocql.ErrCodeSyntax, gocql.ErrCodeInvalid:
			return true
		}
		return false
	}
	_, marshal := errors.AsType[gocql.MarshalError](err)
	return marshal || errors.Is(err, gocql.ErrFrameTooBig)
}
