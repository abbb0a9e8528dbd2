package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
	"github.com/tallygate/tallygate/storage/query"
)

// QueryAPI is a query API of Jaeger's kind, ours or a real Jaeger's, as a reader:
// what it answers is read back into the model.
type QueryAPI struct{ URL string }

var _ storage.Reader = QueryAPI{}

// Services implements [storage.Reader].
func (a QueryAPI) Services(ctx context.Context) ([]string, error) {
	names, err := getAnswer[[]string](ctx, a, "/api/services", nil)
	slices.Sort(names)
	return names, err
}

// Operations implements [storage.Reader].
func (a QueryAPI) Operations(ctx context.Context, service, kind string) ([]storage.Operation, error) {
	v := url.Values{"service": {service}}
	if kind != "" {
		v.Set("spanKind", kind)
	}
	list, err := getAnswer[[]query.Operation](ctx, a, "/api/operations", v)
	var ops []storage.Operation
	for _, op := range list {
		ops = append(ops, storage.Operation(op))
	}
	storage.SortOperations(ops)
	return ops, err
}

// FindTraces implements [storage.Reader].
func (a QueryAPI) FindTraces(ctx context.Context, q storage.Query) ([]*jaegermodel.Trace, error) {
	v := url.Values{
		"service": {q.Service}, "raw": {"true"}, "limit": {strconv.Itoa(q.Limit)},
		"start": {strconv.FormatInt(q.Start.UnixMicro(), 10)}, "end": {strconv.FormatInt(q.End.UnixMicro(), 10)},
	}
	if q.Operation != "" {
		v.Set("operation", q.Operation)
	}
	if len(q.Tags) > 0 {
		tags, err := json.Marshal(q.Tags)
		if err != nil {
			return nil, err
		}
		v.Set("tags", string(tags))
	}
	if q.MinDuration != 0 {
		v.Set("minDuration", q.MinDuration.String())
	}
	if q.MaxDuration != 0 {
		v.Set("maxDuration", q.MaxDuration.String())
	}
	list, err := getAnswer[[]query.Trace](ctx, a, "/api/traces", v)
	if err != nil {
		return nil, err
	}
	var out []*jaegermodel.Trace
	for i := range list {
		t, err := modelOf(&list[i])
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// Trace implements [storage.Reader].
func (a QueryAPI) Trace(ctx context.Context, id jaegermodel.TraceID) (*jaegermodel.Trace, error) {
	list, err := getAnswer[[]query.Trace](ctx, a, "/api/traces/"+id.String(), url.Values{"raw": {"true"}})
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("%d traces with one id", len(list))
	}
	return modelOf(&list[0])
}

// Dependencies implements [storage.Reader].
func (a QueryAPI) Dependencies(ctx context.Context, from, to time.Time) ([]storage.Dependency, error) {
	list, err := getAnswer[[]query.Dependency](ctx, a, "/api/dependencies", url.Values{
		"endTs": {strconv.FormatInt(to.UnixMilli(), 10)}, "lookback": {strconv.FormatInt(to.Sub(from).Milliseconds(), 10)},
	})
	var out []storage.Dependency
	for _, d := range list {
		out = append(out, storage.Dependency(d))
	}
	return storage.SumDependencies(out), err
}

// Raw returns the status and the body of an answer.
func (a QueryAPI) Raw(ctx context.Context, path string, v url.Values) (status int, body []byte, err error) {
	if len(v) > 0 {
		path += "?" + v.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL+path, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

func getAnswer[T any](ctx context.Context, a QueryAPI, path string, v url.Values) (T, error) {
	var answer query.Answer[T]
	status, body, err := a.Raw(ctx, path, v)
	if err != nil {
		return answer.Data, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&answer); err != nil {
		return answer.Data, fmt.Errorf("%s: %d %.200s: %w", path, status, body, err)
	}
	switch {
	case status == http.StatusNotFound:
		return answer.Data, storage.ErrNotFound
	case status != http.StatusOK:
		return answer.Data, fmt.Errorf("%s: %d %s", path, status, body)
	}
	return answer.Data, nil
}

// modelOf reads Jaeger's JSON back.
func modelOf(t *query.Trace) (*jaegermodel.Trace, error) {
	out := &jaegermodel.Trace{}
	for _, s := range t.Spans {
		id, err := jaegermodel.ParseTraceID(s.TraceID)
		if err != nil {
			return nil, err
		}
		span := &jaegermodel.Span{TraceID: id, Operation: s.Operation, Flags: s.Flags, Start: s.Start, Duration: s.Duration, Warnings: s.Warnings}
		if span.SpanID, err = spanIDOf(s.SpanID); err != nil {
			return nil, err
		}
		p := t.Processes[s.ProcessID]
		span.Process = &jaegermodel.Process{Service: p.Service}
		if span.Process.Tags, err = tagsOf(p.Tags); err != nil {
			return nil, err
		}
		if span.Tags, err = tagsOf(s.Tags); err != nil {
			return nil, err
		}
		for _, l := range s.Logs {
			fields, err := tagsOf(l.Fields)
			if err != nil {
				return nil, err
			}
			span.Logs = append(span.Logs, jaegermodel.Log{Time: l.Time, Fields: fields})
		}
		for _, r := range s.Refs {
			ref := jaegermodel.Ref{}
			if ref.TraceID, err = jaegermodel.ParseTraceID(r.TraceID); err != nil {
				return nil, err
			}
			if ref.SpanID, err = spanIDOf(r.SpanID); err != nil {
				return nil, err
			}
			if r.Type == "FOLLOWS_FROM" {
				ref.Type = jaegermodel.FollowsFrom
			}
			span.Refs = append(span.Refs, ref)
		}
		out.Spans = append(out.Spans, span)
	}
	storage.SortSpans(out.Spans)
	return out, nil
}

func spanIDOf(s string) (jaegermodel.SpanID, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	return jaegermodel.SpanID(n), err
}

func tagsOf(list []query.KeyValue) ([]jaegermodel.KeyValue, error) {
	var out []jaegermodel.KeyValue
	for _, kv := range list {
		text := fmt.Sprint(kv.Value)
		switch kv.Type {
		case "bool":
			out = append(out, jaegermodel.BoolTag(kv.Key, text == "true"))
		case "int64":
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, err
			}
			out = append(out, jaegermodel.Int64Tag(kv.Key, n))
		case "float64":
			f, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, err
			}
			out = append(out, jaegermodel.Float64Tag(kv.Key, f))
		case "binary":
			b, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return nil, err
			}
			out = append(out, jaegermodel.BinaryTag(kv.Key, b))
		default:
			out = append(out, jaegermodel.StringTag(kv.Key, text))
		}
	}
	return out, nil
}
