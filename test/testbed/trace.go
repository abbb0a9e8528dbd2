package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// JaegerAPI is Jaeger's query API over HTTP, whoever answers it.
type JaegerAPI struct{ URL string }

// Trace is a trace as that API shows it.
type Trace struct {
	TraceID   string
	Spans     []Span
	Processes map[string]struct {
		ServiceName string
		Tags        []KeyValue
	}
}

// Span is a span of a Trace.
type Span struct {
	TraceID, SpanID, OperationName string
	ProcessID                      string
	StartTime, Duration            int64 // microseconds
	Tags                           []KeyValue
	Logs                           []struct{ Fields []KeyValue }
	References                     []struct{ RefType, TraceID, SpanID string }
}

// KeyValue is a tag.
type KeyValue struct {
	Key, Type string
	Value     any
}

// Tag returns the value of a tag as text, empty if there is none.
func (s *Span) Tag(key string) string {
	for _, kv := range s.Tags {
		if kv.Key == key {
			return fmt.Sprint(kv.Value)
		}
	}
	return ""
}

// Parent returns the id of the span's parent, empty if it has none.
func (s *Span) Parent() string {
	for _, r := range s.References {
		if r.RefType == "CHILD_OF" {
			return r.SpanID
		}
	}
	return ""
}

// Find returns the traces that a search finds: service and, optionally,
// operation, tags, minDuration, maxDuration, limit, lookback.
func (a *JaegerAPI) Find(ctx context.Context, query url.Values) ([]Trace, error) {
	q := url.Values{"limit": {"100"}, "lookback": {"1h"}}
	for k, v := range query {
		q[k] = v
	}
	return a.traces(ctx, "/api/traces?"+q.Encode())
}

// Trace returns a trace by its id; none is an error.
func (a *JaegerAPI) Trace(ctx context.Context, id string) (Trace, error) {
	list, err := a.traces(ctx, "/api/traces/"+id)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%d traces with the id %s", len(list), id)
	}
	if err != nil {
		return Trace{}, err
	}
	return list[0], nil
}

func (a *JaegerAPI) traces(ctx context.Context, path string) (list []Trace, err error) {
	return list, a.data(ctx, path, &list)
}

// Services returns the names of all services, sorted.
func (a *JaegerAPI) Services(ctx context.Context) (names []string, err error) {
	err = a.data(ctx, "/api/services", &names)
	slices.Sort(names)
	return names, err
}

// Operations returns the operations of a service, sorted.
func (a *JaegerAPI) Operations(ctx context.Context, service string) (names []string, err error) {
	err = a.data(ctx, "/api/services/"+url.PathEscape(service)+"/operations", &names)
	slices.Sort(names)
	return names, err
}

func (a *JaegerAPI) data(ctx context.Context, path string, into any) error {
	body, err := httpGet(ctx, a.URL+path)
	if err != nil {
		return err
	}
	out := struct{ Data any }{into}
	if err := json.Unmarshal(body, &out); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// Tree draws a trace, a line for each span with its service and kind, children
// below their parents and further in:
//
//	client client
//	  frontend server
//
// Children are in the order of their text, so that equal trees are equal texts.
func (t *Trace) Tree() string {
	known := map[string]bool{}
	for _, s := range t.Spans {
		known[s.SpanID] = true
	}
	var draw func(parent, indent string) string
	draw = func(parent, indent string) string {
		var lines []string
		for _, s := range t.Spans {
			p := s.Parent()
			if !known[p] || p == s.SpanID {
				p = ""
			}
			if p == parent {
				lines = append(lines, indent+t.Processes[s.ProcessID].ServiceName+" "+s.Tag("span.kind")+"\n"+draw(s.SpanID, indent+"  "))
			}
		}
		slices.Sort(lines)
		return strings.Join(lines, "")
	}
	return draw("", "")
}
