package dist

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// backend takes OTLP over HTTP.
type backend struct {
	mu       sync.Mutex
	spans    int
	requests int64
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch r.URL.Path {
	case "/v1/traces":
		req := ptraceotlp.NewExportRequest()
		err = req.UnmarshalProto(body)
		b.spans += req.Traces().SpanCount()
	case "/v1/metrics":
		req := pmetricotlp.NewExportRequest()
		if err = req.UnmarshalProto(body); err == nil {
			b.count(req)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// count keeps the latest value of the requests.
func (b *backend) count(req pmetricotlp.ExportRequest) {
	rms := req.Metrics().ResourceMetrics()
	for i := range rms.Len() {
		for j := range rms.At(i).ScopeMetrics().Len() {
			ms := rms.At(i).ScopeMetrics().At(j).Metrics()
			for k := range ms.Len() {
				if m := ms.At(k); m.Name() == "istio_requests_total" {
					b.requests = m.Sum().DataPoints().At(0).IntValue()
				}
			}
		}
	}
}

func (b *backend) has() (spans int, requests int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spans, b.requests
}

// TestCollector runs the distribution:
//
//	Envoy's access logs ─▶ tallygate_als ─┬▶ traces pipeline ──┬▶ otlphttp
//	                                      └▶ metrics pipeline ─┘
func TestCollector(t *testing.T) {
	b := new(backend)
	srv := httptest.NewServer(b)
	defer srv.Close()
	socket := t.TempDir() + "/als.sock"
	config := fmt.Sprintf(`
receivers:
  tallygate_als:
    transport: unix
    endpoint: %s
    red: {zero_for: 0s}
    push: {interval: 100ms}
    spans: {flush_interval: 100ms}
exporters:
  otlp_http: {endpoint: %s, compression: none}
service:
  telemetry: {metrics: {level: none}, logs: {level: warn}}
  pipelines:
    traces: {receivers: [tallygate_als], exporters: [otlp_http]}
    metrics: {receivers: [tallygate_als], exporters: [otlp_http]}
`, socket, srv.URL)
	set := Settings("test", "yaml:"+config)
	set.DisableGracefulShutdown = true
	c, err := otelcol.NewCollector(set)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	waitFor(t, done, func() bool { return c.GetState() == otelcol.StateRunning })

	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := alsv3.NewAccessLogServiceClient(conn).StreamAccessLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	logs := new(alsv3.StreamAccessLogsMessage_HTTPAccessLogEntries)
	for range 3 {
		logs.LogEntry = append(logs.LogEntry, &accesslog.HTTPAccessLogEntry{
			CommonProperties: &accesslog.AccessLogCommon{
				StartTime: timestamppb.Now(), Duration: durationpb.New(time.Millisecond), AccessLogType: accesslog.AccessLogType_DownstreamEnd,
				CustomTags: map[string]string{"reporter": "destination", "destination_workload": "cart"},
			},
			Response: &accesslog.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(503)},
		})
	}
	if err := stream.Send(&alsv3.StreamAccessLogsMessage{LogEntries: &alsv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: logs}}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, done, func() bool {
		spans, requests := b.has()
		return spans == 3 && requests == 3
	})
	cancel()
	c.Shutdown()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func waitFor(t *testing.T, done <-chan error, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-done:
			t.Fatalf("the Collector has ended: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("gave up waiting")
		}
	}
}

func TestComponents(t *testing.T) {
	f, err := Components()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cassandra", "jaeger", "local", "otlp", "debug"} {
		found := false
		for typ := range f.Exporters {
			found = found || typ.String() == want
		}
		if !found {
			t.Errorf("no exporter of type %s", want)
		}
	}
	if c := f.Receivers[Type].CreateDefaultConfig().(*Config); c.Validate() != nil {
		t.Errorf("the defaults are not valid: %v", c.Validate())
	}
}
