package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tallygate/tallygate/jaegermodel"
)

const (
	traceSpans = 4  // two hops, each from both sides
	batchSpans = 48 // of a request
)

// spanLoad sends spans as access logs make them: 12 tags, two of them unique to
// their request.
type spanLoad struct {
	rand   *rand.Rand
	conn   *grpc.ClientConn
	client ptraceotlp.GRPCClient
}

func dialSpans(otlp string) (*spanLoad, error) {
	conn, err := grpc.NewClient(otlp, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return &spanLoad{rand.New(rand.NewPCG(rand.Uint64(), 1)), conn, ptraceotlp.NewGRPCClient(conn)}, nil
}

func (l *spanLoad) close() error { return l.conn.Close() }

// batch makes the spans of a request and tells which traces they are.
func (l *spanLoad) batch() (ptrace.Traces, []jaegermodel.TraceID) {
	td := ptrace.NewTraces()
	var ids []jaegermodel.TraceID
	for range batchSpans / traceSpans {
		var id jaegermodel.TraceID
		binary.BigEndian.PutUint64(id[:], l.rand.Uint64())
		binary.BigEndian.PutUint64(id[8:], l.rand.Uint64())
		ids = append(ids, id)
		first := l.rand.IntN(18)
		var parent pcommon.SpanID
		for side := range traceSpans {
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("service.name", fmt.Sprintf("service-%d.shop", first+(side+1)/2))
			parent = l.span(rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty(), id, parent, side)
		}
	}
	return td, ids
}

func (l *spanLoad) span(s ptrace.Span, id jaegermodel.TraceID, parent pcommon.SpanID, side int) (span pcommon.SpanID) {
	binary.BigEndian.PutUint64(span[:], l.rand.Uint64())
	s.SetTraceID(pcommon.TraceID(id))
	s.SetSpanID(span)
	s.SetParentSpanID(parent)
	s.SetName("GET /api/v1/products/*")
	s.SetKind([]ptrace.SpanKind{ptrace.SpanKindClient, ptrace.SpanKindServer}[side%2])
	now := time.Now()
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(now))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Duration(l.rand.ExpFloat64() * 2e7))))
	a := s.Attributes()
	a.PutStr("guid:x-request-id", id.String())
	a.PutInt("http.response.body.size", l.rand.Int64N(1_000_000))
	a.PutInt("http.response.status_code", []int64{200, 200, 200, 404, 503}[l.rand.IntN(5)])
	a.PutStr("url.path", fmt.Sprintf("/api/v1/products/%d", l.rand.IntN(1000)))
	for _, key := range []string{"http.request.method", "server.address", "network.protocol.version", "istio.response_flags", "user_agent.original", "istio.principal", "upstream_cluster"} {
		a.PutStr(key, "value of "+key)
	}
	return span
}

// send sends n spans at a rate, 0 as fast as they are taken, and returns the
// traces, those of a request together.
func (l *spanLoad) send(ctx context.Context, n int, rate float64) (sent [][]jaegermodel.TraceID, err error) {
	began := time.Now()
	for i := 0; i < n; i += batchSpans {
		if rate > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(float64(i) / rate * float64(time.Second)))))
		}
		td, ids := l.batch()
		answer, err := l.client.Export(ctx, ptraceotlp.NewExportRequestFromTraces(td))
		if err != nil {
			return sent, fmt.Errorf("sending spans: %w", err)
		}
		if n := answer.PartialSuccess().RejectedSpans(); n > 0 {
			return sent, fmt.Errorf("%d spans of a request are rejected", n)
		}
		sent = append(sent, ids)
	}
	return sent, nil
}
