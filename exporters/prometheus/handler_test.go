package prometheus

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
	"unique"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/red"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const traceID = "0123456789abcdef0123456789abcdef"

func peer(name string) mesh.Peer {
	return unique.Make(mesh.Workload{
		Name:              name + "-deployment-v1",
		Namespace:         "production-shop",
		CanonicalService:  name + "-service",
		CanonicalRevision: "v1",
		Principal:         "spiffe://cluster.local/ns/production-shop/sa/" + name,
		App:               name,
		Version:           "v1",
		Cluster:           "Kubernetes",
	})
}

// entries returns one entry of each of n label sets.
func entries(n int) []mesh.Entry {
	entries := make([]mesh.Entry, n)
	for i := range entries {
		server := fmt.Sprintf("server-%d", i/100)
		entries[i] = mesh.Entry{
			Source:      peer(fmt.Sprintf("client-%d", i%100)),
			Destination: peer(server),
			Service: unique.Make(mesh.DestinationService{
				Host: server + ".production-shop.svc.cluster.local", Name: server, Namespace: "production-shop",
			}),
			Reporter:      mesh.ReporterDestination,
			Security:      mesh.SecurityMutualTLS,
			GRPCStatus:    mesh.NoGRPCStatus,
			Code:          200,
			Duration:      time.Duration(rand.ExpFloat64() * float64(20*time.Millisecond)),
			RequestBytes:  uint64(rand.ExpFloat64() * 800),
			ResponseBytes: uint64(rand.ExpFloat64() * 9000),
			Method:        "GET",
			TraceID:       traceID,
		}
	}
	return entries
}

func newTable(t testing.TB, native bool, es ...mesh.Entry) *red.Table {
	t.Helper()
	cfg := red.DefaultConfig()
	cfg.ZeroFor = 0
	cfg.NativeHistograms.Enabled = native
	table, err := red.New(cfg, nil)
	if err != nil {
		t.Fatalf("red.New: %v", err)
	}
	consume(t, table, es...)
	return table
}

func consume(t testing.TB, table *red.Table, es ...mesh.Entry) {
	t.Helper()
	if err := table.Consume(context.Background(), &mesh.Batch{Entries: es, Received: time.Now()}); err != nil {
		t.Fatalf("Consume: %v", err)
	}
}

func newHandler(t testing.TB, table *red.Table) *Handler {
	t.Helper()
	h, err := New(DefaultConfig(), table, prometheus.NewRegistry())
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return h
}

// Accept headers, as Prometheus 2.42 and 3 send them.
const (
	acceptText        = "text/plain;version=0.0.4"
	acceptOpenMetrics = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
	acceptProto       = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)

func get(t testing.TB, h http.Handler, accept string) (body []byte, contentType string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.Bytes(), w.Header().Get("Content-Type")
}

// discard is a ResponseWriter that counts.
type discard struct {
	header http.Header
	n      int64
}

func (d *discard) Header() http.Header                { return d.header }
func (d *discard) WriteHeader(int)                    {}
func (d *discard) Write(p []byte) (int, error)        { d.n += int64(len(p)); return len(p), nil }
func (d *discard) Flush()                             {}
func (d *discard) SetWriteDeadline(_ time.Time) error { return nil }

func BenchmarkScrape(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		for _, bench := range []struct {
			name, accept, encoding string
			native                 bool
		}{
			{"text", acceptText, "", false},
			{"text/gzip", acceptText, "gzip", false},
			{"openmetrics", acceptOpenMetrics, "", false},
			{"protobuf", acceptProto, "", false},
			{"protobuf/native", acceptProto, "", true},
			{"protobuf/native/gzip", acceptProto, "gzip", true},
		} {
			b.Run(fmt.Sprintf("tuples=%d/%s", n, bench.name), func(b *testing.B) {
				h := newHandler(b, newTable(b, bench.native, entries(n)...))
				for range 50 {
					consume(b, h.table, entries(n)...)
				}
				r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
				r.Header.Set("Accept", bench.accept)
				r.Header.Set("Accept-Encoding", bench.encoding)
				w := &discard{header: http.Header{}}
				h.ServeHTTP(w, r)
				b.ReportAllocs()
				b.ResetTimer()
				w.n = 0
				for range b.N {
					h.ServeHTTP(w, r)
				}
				b.ReportMetric(float64(w.n)/float64(b.N)/1e6, "MB/scrape")
			})
		}
	}
}

func BenchmarkScrapeLoopback(b *testing.B) {
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run("tuples=10000/text/"+encoding, func(b *testing.B) {
			h := newHandler(b, newTable(b, false, entries(10_000)...))
			srv := httptest.NewServer(h)
			defer srv.Close()
			for range b.N {
				r, _ := http.NewRequest(http.MethodGet, srv.URL, nil)
				r.Header.Set("Accept", acceptText)
				r.Header.Set("Accept-Encoding", encoding)
				resp, err := srv.Client().Do(r)
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				if err != nil {
					b.Fatal(err)
				}
				_ = resp.Body.Close()
				b.ReportMetric(float64(n)/1e6, "MB/scrape")
			}
			srv.Client().CloseIdleConnections()
		})
	}
}
