package cassandra

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

// latest are traces with the start of their latest match.
type latest map[jaegermodel.TraceID]int64

func (l latest) add(id []byte, start int64) {
	if len(id) != 16 {
		return // not of schema v004
	}
	t := jaegermodel.TraceID(id)
	if old, ok := l[t]; !ok || start > old {
		l[t] = start
	}
}

func (l latest) newest() []jaegermodel.TraceID {
	return slices.SortedFunc(maps.Keys(l), func(a, b jaegermodel.TraceID) int {
		return cmp.Or(cmp.Compare(l[b], l[a]), bytes.Compare(a[:], b[:]))
	})
}

// maxCandidates bounds what is read of one index to intersect it with another.
const maxCandidates = 100_000

// FindTraces implements [storage.Reader]. As in Jaeger the operation and each tag
// may be those of different spans of a trace; with a duration they are those of
// one span, which Jaeger does not search for on Cassandra.
func (r *Reader) FindTraces(ctx context.Context, q storage.Query) ([]*jaegermodel.Trace, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	if !canFind(&q) {
		return nil, nil
	}
	session, err := r.client.get(ctx)
	if err != nil {
		return nil, err
	}
	s := &search{session: session, q: &q}
	byDuration := q.MinDuration != 0 || q.MaxDuration != 0
	var found latest
	if byDuration {
		found, err = s.byDuration(ctx)
	} else {
		found, err = s.byIndexes(ctx)
	}
	if err != nil {
		return nil, failed("an index", err)
	}
	var out []*jaegermodel.Trace
	for _, id := range found.newest() {
		if len(out) == q.Limit {
			break
		}
		t, err := readTrace(ctx, session, id)
		if err != nil {
			return nil, failed("trace "+id.String(), err)
		}
		if len(t.Spans) == 0 || byDuration && !slices.ContainsFunc(t.Spans, q.Matches) {
			continue // the index lives longer than the span, or has only half of it
		}
		out = append(out, t)
	}
	return out, nil
}

// canFind reports whether there can be index rows for the query: Cassandra has no
// key of more than 64 KiB, and would say so with an error.
func canFind(q *storage.Query) bool {
	for key, value := range q.Tags {
		if !indexable(key, value) {
			return false
		}
	}
	return len(q.Service) <= maxKeyText && len(q.Operation) <= maxKeyText
}

type search struct {
	session *gocql.Session
	q       *storage.Query
}

// byIndexes asks every index that the query needs and keeps what is in all.
func (s *search) byIndexes(ctx context.Context) (latest, error) {
	q := s.q
	var asks []func() (latest, error)
	most := q.Limit
	if len(q.Tags)+min(len(q.Operation), 1) > 1 {
		most = maxCandidates
	}
	for key, value := range q.Tags {
		asks = append(asks, func() (latest, error) {
			return s.read(ctx, most, `SELECT trace_id, start_time FROM tag_index WHERE service_name = ? AND tag_key = ? AND tag_value = ? AND start_time >= ? AND start_time <= ?`,
				q.Service, key, value, q.Start.UnixMicro(), q.End.UnixMicro())
		})
	}
	switch {
	case q.Operation != "":
		asks = append(asks, func() (latest, error) {
			return s.read(ctx, most, `SELECT trace_id, start_time FROM service_operation_index WHERE service_name = ? AND operation_name = ? AND start_time >= ? AND start_time <= ?`,
				q.Service, q.Operation, q.Start.UnixMicro(), q.End.UnixMicro())
		})
	case len(q.Tags) == 0:
		return s.byService(ctx)
	}
	var all latest
	for _, ask := range asks {
		some, err := ask()
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = some
			continue
		}
		maps.DeleteFunc(all, func(id jaegermodel.TraceID, _ int64) bool { _, in := some[id]; return !in })
	}
	return all, nil
}

// byService asks all buckets at once.
func (s *search) byService(ctx context.Context) (latest, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := latest{}
	var failure error
	for bucket := range serviceBuckets {
		wg.Go(func() {
			some, err := s.read(ctx, s.q.Limit, `SELECT trace_id, start_time FROM service_name_index WHERE service_name = ? AND bucket = ? AND start_time >= ? AND start_time <= ?`,
				s.q.Service, bucket, s.q.Start.UnixMicro(), s.q.End.UnixMicro())
			mu.Lock()
			defer mu.Unlock()
			failure = cmp.Or(failure, err)
			for id, start := range some {
				all[id] = max(all[id], start)
			}
		})
	}
	wg.Wait()
	return all, failure
}

// read reads an index, whose rows come latest first, until it has seen most
// traces.
func (s *search) read(ctx context.Context, most int, stmt string, args ...any) (latest, error) {
	found := latest{}
	it := s.session.Query(stmt, args...).PageSize(min(max(3*most, 100), 5000)).IterContext(ctx)
	var id []byte
	var start int64
	for len(found) < most && it.Scan(&id, &start) {
		found.add(id, start)
	}
	return found, it.Close()
}

// byDuration asks the hours of the query, latest first, a few at once. Rows come
// by duration, so an hour is read to its end.
func (s *search) byDuration(ctx context.Context) (latest, error) {
	q := s.q
	most := (2 * day).Microseconds() * 1000 // of a bigint: no bound
	if q.MaxDuration != 0 {
		most = q.MaxDuration.Microseconds()
	}
	all := latest{}
	first, last := q.Start.UTC().Round(time.Hour), q.End.UTC().Round(time.Hour)
	for hour := last; !hour.Before(first); hour = hour.Add(-time.Hour) {
		it := s.session.Query(`SELECT trace_id, start_time FROM duration_index WHERE service_name = ? AND operation_name = ? AND bucket = ? AND duration >= ? AND duration <= ?`,
			q.Service, q.Operation, hour, q.MinDuration.Microseconds(), most).PageSize(5000).IterContext(ctx)
		var id []byte
		var start int64
		for n := 0; n < maxCandidates && it.Scan(&id, &start); n++ {
			if q.InTime(start) {
				all.add(id, start)
			}
		}
		if err := it.Close(); err != nil {
			return nil, err
		}
		if len(all) >= q.Limit && len(q.Tags) == 0 {
			break // earlier hours hold only earlier spans
		}
	}
	return all, nil
}
