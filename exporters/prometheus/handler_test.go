package prometheus

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
	"unique"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/red"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(scrapeEnv); url != "" {
		scrapeURL(url)
		return
	}
	goleak.VerifyTestMain(m)
}

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
