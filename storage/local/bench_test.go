package local

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

// hops makes spans as they come from access logs: n traces of 8 spans of 20
// services, 16 tags each, one of them unique.
func hops(rng *rand.Rand, n int, at time.Time) []*jaegermodel.Span {
	spans := make([]*jaegermodel.Span, 0, n*8)
	procs := make([]*jaegermodel.Process, 20)
	for i := range procs {
		procs[i] = &jaegermodel.Process{Service: fmt.Sprintf("service-%d.shop", i), Tags: []jaegermodel.KeyValue{
			jaegermodel.StringTag("k8s.namespace.name", "shop"),
			jaegermodel.StringTag("k8s.deployment.name", fmt.Sprintf("service-%d-v1", i)),
			jaegermodel.StringTag("k8s.cluster.name", "Kubernetes"),
			jaegermodel.StringTag("service.version", "v1"),
		}}
	}
	for range n {
		var id jaegermodel.TraceID
		binary.BigEndian.PutUint64(id[:], rng.Uint64())
		binary.BigEndian.PutUint64(id[8:], rng.Uint64())
		parent := jaegermodel.SpanID(0)
		request := fmt.Sprintf("%016x-%016x", rng.Uint64(), rng.Uint64())
		for h := range 8 {
			s := &jaegermodel.Span{
				TraceID: id, SpanID: jaegermodel.SpanID(rng.Uint64()), Process: procs[rng.IntN(len(procs))],
				Start: at.UnixMicro() + int64(h), Duration: int64(rng.ExpFloat64() * 20_000),
			}
			path := fmt.Sprintf("/api/v1/products/%d", rng.IntN(1000))
			s.Operation = "GET /api/v1/products/*"
			code := 200
			if rng.IntN(100) == 0 {
				code = 503
			}
			s.Tags = []jaegermodel.KeyValue{
				jaegermodel.StringTag("http.request.method", "GET"),
				jaegermodel.StringTag("url.path", path),
				jaegermodel.StringTag("server.address", s.Process.Service+".svc.cluster.local"),
				jaegermodel.Int64Tag("http.response.status_code", int64(code)),
				jaegermodel.StringTag("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)"),
				jaegermodel.StringTag("istio.response_flags", "-"),
				jaegermodel.StringTag("istio.principal", "spiffe://cluster.local/ns/shop/sa/"+s.Process.Service),
				jaegermodel.StringTag("guid:x-request-id", request),
				jaegermodel.Int64Tag("http.request.body.size", int64(rng.IntN(5000))),
				jaegermodel.Int64Tag("http.response.body.size", int64(rng.IntN(50_000))),
				jaegermodel.StringTag("network.protocol.version", "2"),
				jaegermodel.StringTag("span.kind", []string{"client", "server"}[h%2]),
			}
			if parent != 0 {
				s.Refs = []jaegermodel.Ref{{TraceID: id, SpanID: parent}}
			}
			parent = s.SpanID
			spans = append(spans, s)
		}
	}
	return spans
}

// BenchmarkLocal writes TALLYGATE_BENCH_SPANS spans (400,000) to a real disk,
// reads them by searches, and says how much CPU time and disk that took.
func BenchmarkLocal(b *testing.B) {
	total := 400_000
	if n, err := strconv.Atoi(os.Getenv("TALLYGATE_BENCH_SPANS")); err == nil {
		total = n
	}
	cfg := DefaultConfig()
	cfg.Directory, cfg.MinFreeBytes, cfg.MaxBytes = b.TempDir(), 0, 1<<40
	h, err := Open(cfg, discard)
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	base := time.Now().Add(-time.Hour)
	batch := hops(rng, 1024, base)
	written, spent := 0, time.Duration(0)
	for i := 0; written < total; i++ {
		// New ids and times for spans whose making is not measured.
		for n, s := range batch {
			c := *s
			binary.BigEndian.PutUint32(c.TraceID[4:], uint32(i))
			c.Start = base.Add(time.Duration(written+n) * 500 * time.Microsecond).UnixMicro()
			batch[n] = &c
		}
		began := time.Now()
		if err := h.Write(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		spent += time.Since(began)
		written += len(batch)
	}
	if err := h.db.Flush(); err != nil {
		b.Fatal(err)
	}
	size, err := h.size()
	if err != nil {
		b.Fatal(err)
	}
	found := 0
	search := func(tags map[string]string, low time.Duration) time.Duration {
		q := storage.Query{Service: "service-3.shop", Start: base, End: time.Now().Add(24 * time.Hour), Limit: 20, Tags: tags, MinDuration: low}
		var times []time.Duration
		for range 9 {
			began := time.Now()
			traces, err := h.FindTraces(b.Context(), q)
			if err != nil {
				b.Fatal(err)
			}
			times = append(times, time.Since(began))
			found += len(traces)
		}
		return median(times)
	}
	common := search(map[string]string{"http.response.status_code": "503"}, 0)
	rare := search(map[string]string{"http.request.body.size": "77", "url.path": "/api/v1/products/77"}, 0)
	slow := search(nil, 200*time.Millisecond)
	if found == 0 {
		b.Error("the searches find nothing")
	}
	for b.Loop() {
		search(map[string]string{"http.response.status_code": "503"}, 0)
	}
	b.ReportMetric(float64(written)/spent.Seconds(), "written-spans/s")
	b.ReportMetric(float64(size)/float64(written), "bytes/span")
	b.ReportMetric(float64(common.Microseconds())/1000, "ms/common-tag")
	b.ReportMetric(float64(rare.Microseconds())/1000, "ms/rare-tags")
	b.ReportMetric(float64(slow.Microseconds())/1000, "ms/slow-spans")
}

func median(d []time.Duration) time.Duration {
	for i := range d {
		for j := i; j > 0 && d[j] < d[j-1]; j-- {
			d[j], d[j-1] = d[j-1], d[j]
		}
	}
	return d[len(d)/2]
}
