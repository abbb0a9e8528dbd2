package jaeger

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uber/jaeger-client-go/thrift"
	"github.com/uber/jaeger-client-go/thrift-gen/agent"
	"github.com/uber/jaeger-client-go/thrift-gen/jaeger"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// received are the spans that arrived, by "service/operation".
type received struct {
	mu      sync.Mutex
	spans   map[string]*jaeger.Span
	again   int // spans that were there already
	batches int
}

func (r *received) take(b *jaeger.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spans == nil {
		r.spans = map[string]*jaeger.Span{}
	}
	r.batches++
	for _, s := range b.Spans {
		key := b.Process.ServiceName + "/" + s.OperationName
		if r.spans[key] != nil {
			r.again++
		}
		r.spans[key] = s
	}
}

func (r *received) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.spans)
}

// sample has n spans of each of two services.
func sample(n int) ptrace.Traces {
	td := ptrace.NewTraces()
	for _, service := range []string{"a", "b"} {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", service)
		spans := rs.ScopeSpans().AppendEmpty().Spans()
		for i := range n {
			s := spans.AppendEmpty()
			s.SetName(fmt.Sprint("op-", i))
			s.SetTraceID(pcommon.TraceID{0: 1, 15: byte(i)})
			s.SetSpanID(pcommon.SpanID{7: byte(i + 1)})
			s.SetParentSpanID(pcommon.SpanID{7: 200})
			s.SetKind(ptrace.SpanKindServer)
			s.SetStartTimestamp(1_000_000_000)
			s.SetEndTimestamp(3_000_000_000)
			s.Attributes().PutStr("text", "x")
			s.Attributes().PutInt("n", 7)
			s.Attributes().PutDouble("d", 1.5)
			s.Attributes().PutBool("b", true)
			s.Attributes().PutEmptyBytes("bin").FromRaw([]byte{1})
			s.Events().AppendEmpty().SetName("e")
		}
	}
	return td
}

func run(t *testing.T, config map[string]any) exporter.Traces {
	t.Helper()
	f := NewFactory()
	cfg := f.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(config).Unmarshal(cfg); err != nil {
		t.Fatal(err)
	}
	if err := confmap.Validate(cfg); err != nil {
		t.Fatal(err)
	}
	set := exporter.Settings{TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	set.ID.UnmarshalText([]byte("jaeger"))
	e, err := f.CreateTraces(t.Context(), set, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func wantSample(t *testing.T, r *received, n int) {
	t.Helper()
	if r.count() != 2*n || r.again > 0 {
		t.Fatalf("%d spans arrived, %d more than once; want %d", r.count(), r.again, 2*n)
	}
	s := r.spans["b/op-2"]
	if s.TraceIdHigh != 1<<56 || s.TraceIdLow != 2 || s.SpanId != 3 || s.ParentSpanId != 200 || s.StartTime != 1_000_000 || s.Duration != 2_000_000 {
		t.Errorf("span %+v", s)
	}
	got := map[string]string{}
	for _, tag := range s.Tags {
		got[tag.Key] = tag.VType.String()
	}
	for k, v := range map[string]string{"text": "STRING", "n": "LONG", "d": "DOUBLE", "b": "BOOL", "bin": "BINARY", "span.kind": "STRING"} {
		if got[k] != v {
			t.Errorf("tag %s is a %s; want %s", k, got[k], v)
		}
	}
	if len(s.Logs) != 1 || len(s.References) != 1 {
		t.Errorf("logs %v, references %v", s.Logs, s.References)
	}
}

// TestHTTP: a collector that fails at the second batch gets only that one again.
func TestHTTP(t *testing.T) {
	var r received
	var requests int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if requests++; requests == 2 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil || req.Header.Get("Content-Type") != "application/x-thrift" {
			t.Error(err, req.Header)
		}
		b := jaeger.NewBatch()
		if err := b.Read(req.Context(), thrift.NewTBinaryProtocolConf(&thrift.TMemoryBuffer{Buffer: bytes.NewBuffer(body)}, nil)); err != nil {
			t.Error(err)
		}
		r.take(b)
	}))
	defer srv.Close()
	e := run(t, map[string]any{
		"endpoint": srv.URL + "/api/traces", "sending_queue": map[string]any{"enabled": false},
		"retry_on_failure": map[string]any{"initial_interval": "10ms"},
	})
	if err := e.ConsumeTraces(t.Context(), sample(5)); err != nil {
		t.Fatal(err)
	}
	wantSample(t, &r, 5)
	if requests != 3 {
		t.Errorf("%d requests; want 3", requests)
	}
}

func TestHTTPPermanent(t *testing.T) {
	requests := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		http.Error(w, "bad", http.StatusBadRequest)
	}))
	defer srv.Close()
	e := run(t, map[string]any{"endpoint": srv.URL, "sending_queue": map[string]any{"enabled": false}})
	if err := e.ConsumeTraces(t.Context(), sample(1)); err == nil || !strings.Contains(err.Error(), "400 Bad Request: bad") || requests != 1 {
		t.Errorf("%v after %d requests", err, requests)
	}
}

// listenUDP takes packets until the test ends and says how large the largest was.
func listenUDP(t *testing.T, r *received) (addr string, largest func() int) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	size := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			mu.Lock()
			size = max(size, n)
			mu.Unlock()
			b, err := readPacket(buf[:n])
			if err != nil {
				t.Error(err)
				continue
			}
			r.take(b)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().String(), func() int { mu.Lock(); defer mu.Unlock(); return size }
}

// readPacket reads a call of emitBatch.
func readPacket(b []byte) (*jaeger.Batch, error) {
	ctx := context.Background()
	proto := thrift.NewTCompactProtocolFactoryConf(nil).GetProtocol(&thrift.TMemoryBuffer{Buffer: bytes.NewBuffer(b)})
	if name, _, _, err := proto.ReadMessageBegin(ctx); err != nil || name != "emitBatch" {
		return nil, fmt.Errorf("message %q: %w", name, err)
	}
	args := agent.AgentEmitBatchArgs{}
	err := args.Read(ctx, proto)
	return args.Batch, err
}

func TestUDP(t *testing.T) {
	var r received
	addr, largest := listenUDP(t, &r)
	e := run(t, map[string]any{"protocol": "thrift_compact", "endpoint": addr, "max_packet_size": 1500, "sending_queue": map[string]any{"enabled": false}})
	if err := e.ConsumeTraces(t.Context(), sample(60)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return r.count() == 120 })
	wantSample(t, &r, 60)
	if largest() > 1500 || r.batches < 10 {
		t.Errorf("%d packets, the largest of %d bytes; want none above 1500", r.batches, largest())
	}
}

// TestUDPLarge: spans that do not fit are cut, none is lost, and no packet is too
// large.
func TestUDPLarge(t *testing.T) {
	var r received
	addr, largest := listenUDP(t, &r)
	e := run(t, map[string]any{"protocol": "thrift_compact", "endpoint": addr, "max_packet_size": 2000, "sending_queue": map[string]any{"enabled": false}})
	rnd := rand.New(rand.NewPCG(1, 2))
	td := sample(20)
	for i := range td.ResourceSpans().Len() {
		rs := td.ResourceSpans().At(i)
		for j := range 60 {
			rs.Resource().Attributes().PutStr(fmt.Sprint("r", j), strings.Repeat("é", rnd.IntN(100)))
		}
		spans := rs.ScopeSpans().At(0).Spans()
		for j := range spans.Len() {
			s := spans.At(j)
			for k := range rnd.IntN(50) {
				s.Attributes().PutStr(fmt.Sprint("k", k), strings.Repeat("日", rnd.IntN(500)))
				s.Events().AppendEmpty().SetName(strings.Repeat("e", rnd.IntN(500)))
			}
			s.Attributes().PutStr(strings.Repeat("key", 1000), "v")
			s.Attributes().PutStr("large", strings.Repeat("x", 70_000))
		}
	}
	if err := e.ConsumeTraces(t.Context(), td); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return r.count() == 40 })
	if largest() > 2000 {
		t.Errorf("a packet of %d bytes; want none above 2000", largest())
	}
	for key, s := range r.spans {
		if s.Tags[0].Key != cutTag {
			t.Errorf("%s is not marked as cut", key)
		}
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("gave up waiting")
		}
	}
}

func TestValidate(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		c := DefaultConfig()
		c.ClientConfig.Endpoint = "http://127.0.0.1:14268/api/traces"
		change(c)
		err := c.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	f(func(*Config) {}, "")
	f(func(c *Config) { c.ClientConfig.Endpoint = "" }, "endpoint: ")
	f(func(c *Config) { c.ClientConfig.Endpoint = "127.0.0.1:14268" }, "endpoint: ")
	f(func(c *Config) { c.Protocol = "udp" }, "protocol: ")
	f(func(c *Config) { c.Protocol = ThriftCompact }, "endpoint: ")
	f(func(c *Config) { c.Protocol, c.ClientConfig.Endpoint = ThriftCompact, "127.0.0.1:6831" }, "")
	f(func(c *Config) { c.MaxPacketSize = 70_000 }, "max_packet_size: ")
}
