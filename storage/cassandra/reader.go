package cassandra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

// Reader reads the keyspace that cfg names.
type Reader struct {
	client *client
}

var _ storage.Reader = (*Reader)(nil)

// NewReader returns a reader that connects when it is first asked. It never
// creates a schema.
func NewReader(cfg *Config) (*Reader, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := *cfg
	c.Schema.Create = false
	return &Reader{client: &client{cfg: &c}}, nil
}

// Close ends the connections.
func (r *Reader) Close() error {
	r.client.close()
	return nil
}

// Services implements [storage.Reader].
func (r *Reader) Services(ctx context.Context) ([]string, error) {
	session, err := r.client.get(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	var name string
	it := session.Query(`SELECT service_name FROM service_names`).IterContext(ctx)
	for it.Scan(&name) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, failed("services", it.Close())
}

// Operations implements [storage.Reader].
func (r *Reader) Operations(ctx context.Context, service, kind string) ([]storage.Operation, error) {
	session, err := r.client.get(ctx)
	if err != nil {
		return nil, err
	}
	stmt, args := `SELECT span_kind, operation_name FROM operation_names_v2 WHERE service_name = ?`, []any{service}
	if kind != "" {
		stmt, args = stmt+` AND span_kind = ?`, append(args, kind)
	}
	var ops []storage.Operation
	var op storage.Operation
	it := session.Query(stmt, args...).IterContext(ctx)
	for it.Scan(&op.Kind, &op.Name) {
		ops = append(ops, op)
	}
	storage.SortOperations(ops)
	return ops, failed("operations", it.Close())
}

// Trace implements [storage.Reader].
func (r *Reader) Trace(ctx context.Context, id jaegermodel.TraceID) (*jaegermodel.Trace, error) {
	session, err := r.client.get(ctx)
	if err != nil {
		return nil, err
	}
	t, err := readTrace(ctx, session, id)
	if err != nil {
		return nil, failed("trace "+id.String(), err)
	}
	if len(t.Spans) == 0 {
		return nil, storage.ErrNotFound
	}
	return t, nil
}

func readTrace(ctx context.Context, session *gocql.Session, id jaegermodel.TraceID) (*jaegermodel.Trace, error) {
	const stmt = `SELECT span_id, parent_id, operation_name, flags, start_time, duration, tags, logs, refs, process FROM traces WHERE trace_id = ?`
	it := session.Query(stmt, id[:]).PageSize(1000).IterContext(ctx)
	t := &jaegermodel.Trace{}
	for {
		var spanID, parent int64
		var flags int32
		var tags []keyValue
		var logs []logEntry
		var refs []spanRef
		var p process
		s := &jaegermodel.Span{TraceID: id}
		if !it.Scan(&spanID, &parent, &s.Operation, &flags, &s.Start, &s.Duration, &tags, &logs, &refs, &p) {
			break
		}
		s.SpanID, s.Flags = jaegermodel.SpanID(spanID), uint32(flags)
		s.Process = &jaegermodel.Process{Service: p.service, Tags: tagsOf(p.tags)}
		for _, r := range refs {
			s.Refs = append(s.Refs, r.Ref)
		}
		addParent(s, jaegermodel.SpanID(parent))
		for _, l := range logs {
			s.Logs = append(s.Logs, jaegermodel.Log{Time: l.time, Fields: tagsOf(l.fields)})
		}
		for _, kv := range tags {
			if strings.HasPrefix(kv.Key, warningPrefix) {
				s.Warnings = append(s.Warnings, kv.Str)
				continue
			}
			s.Tags = append(s.Tags, kv.KeyValue)
		}
		t.Spans = append(t.Spans, s)
	}
	storage.SortSpans(t.Spans)
	return t, it.Close()
}

// addParent makes a reference of the parent that old writers kept in a column.
func addParent(s *jaegermodel.Span, parent jaegermodel.SpanID) {
	if parent == 0 || slices.ContainsFunc(s.Refs, func(r jaegermodel.Ref) bool { return r.TraceID == s.TraceID && r.SpanID == parent }) {
		return
	}
	s.Refs = slices.Insert(s.Refs, 0, jaegermodel.Ref{TraceID: s.TraceID, SpanID: parent})
}

// Dependencies implements [storage.Reader].
func (r *Reader) Dependencies(ctx context.Context, from, to time.Time) ([]storage.Dependency, error) {
	session, err := r.client.get(ctx)
	if err != nil {
		return nil, err
	}
	if to.Sub(from) > 366*day {
		return nil, errors.New("dependencies of more than a year")
	}
	var list []storage.Dependency
	for bucket := from.UTC().Truncate(day); bucket.Before(to); bucket = bucket.Add(day) {
		it := session.Query(`SELECT dependencies FROM dependencies_v2 WHERE ts_bucket = ? AND ts >= ? AND ts < ?`, bucket, from, to).IterContext(ctx)
		for {
			var rows []dependency
			if !it.Scan(&rows) {
				break
			}
			for _, d := range rows {
				list = append(list, storage.Dependency{Parent: d.parent, Child: d.child, Calls: uint64(d.calls)})
			}
		}
		if err := it.Close(); err != nil {
			return nil, failed("dependencies", err)
		}
	}
	return storage.SumDependencies(list), nil
}

func failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cassandra: reading %s: %w", what, err)
}
