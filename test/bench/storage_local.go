package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
	"github.com/tallygate/tallygate/storage/local"
)

// hops makes spans as they come from access logs: n traces of 8 spans of 20
// services, 16 tags each, one of them unique.
func hops(rng *rand.Rand, n int) []*jaegermodel.Span {
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
		binary.BigEndian.PutUint64(id[8:], rng.Uint64())
		request := fmt.Sprintf("%016x-%016x", rng.Uint64(), rng.Uint64())
		var refs []jaegermodel.Ref
		for h := range 8 {
			s := &jaegermodel.Span{
				TraceID: id, SpanID: jaegermodel.SpanID(rng.Uint64()), Process: procs[rng.IntN(len(procs))],
				Duration: int64(rng.ExpFloat64() * 20_000), Operation: "GET /api/v1/products/*", Refs: refs,
			}
			code := int64(200)
			if rng.IntN(100) == 0 {
				code = 503
			}
			s.Tags = []jaegermodel.KeyValue{
				jaegermodel.StringTag("http.request.method", "GET"),
				jaegermodel.StringTag("url.path", fmt.Sprintf("/api/v1/products/%d", rng.IntN(1000))),
				jaegermodel.StringTag("server.address", s.Process.Service+".svc.cluster.local"),
				jaegermodel.Int64Tag("http.response.status_code", code),
				jaegermodel.StringTag("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)"),
				jaegermodel.StringTag("istio.response_flags", "-"),
				jaegermodel.StringTag("istio.principal", "spiffe://cluster.local/ns/shop/sa/"+s.Process.Service),
				jaegermodel.StringTag("guid:x-request-id", request),
				jaegermodel.Int64Tag("http.request.body.size", rng.Int64N(5000)),
				jaegermodel.Int64Tag("http.response.body.size", rng.Int64N(50_000)),
				jaegermodel.StringTag("network.protocol.version", "2"),
				jaegermodel.StringTag("span.kind", []string{"client", "server"}[h%2]),
			}
			refs = []jaegermodel.Ref{{TraceID: id, SpanID: s.SpanID}}
			spans = append(spans, s)
		}
	}
	return spans
}

// measureLocal writes spans to a local store as fast as it takes them, and
// searches.
func measureLocal(ctx context.Context, o options, r *report) (err error) {
	const request = 512
	total := 5_000_000
	if o.quick {
		total = 400_000
	}
	dir := filepath.Join(o.dir, "local")
	cfg := local.DefaultConfig()
	cfg.Directory, cfg.MinFreeBytes, cfg.MaxBytes = dir, 0, 1<<40
	h, err := local.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	base := time.Now().Add(-time.Hour)
	pool := hops(rand.New(rand.NewPCG(1, 2)), 4096)
	began := time.Now()
	written := 0
	for ; written < total; written += request {
		// Spans of the pool with other ids and times.
		copies, spans := make([]jaegermodel.Span, request), make([]*jaegermodel.Span, request)
		for i := range copies {
			copies[i] = *pool[(written+i)%len(pool)]
			binary.BigEndian.PutUint32(copies[i].TraceID[4:], uint32(written/len(pool)))
			copies[i].Start = base.Add(time.Duration(written+i) * 500 * time.Microsecond).UnixMicro()
			spans[i] = &copies[i]
		}
		if err := h.Write(ctx, spans); err != nil {
			return err
		}
	}
	perSecond := float64(written) / time.Since(began).Seconds()
	bytes, err := diskUsage(dir)
	if err != nil {
		return err
	}
	progress("local store: %.0f spans/s, %.0f bytes per span", perSecond, float64(bytes)/float64(written))
	r.section("Spans in the local store", fmt.Sprintf("%s spans of 16 tags, one of them unique to its request, from one writer in requests of %d, each acknowledged once it is on the disk; then searches for 20 traces, the slowest of 9 each.", thousands(float64(written)), request))
	t := r.table("", "")
	t.row("spans/s written", thousands(perSecond))
	t.row("bytes on disk per span, indexes included", fmt.Sprintf("%.0f", float64(bytes)/float64(written)))
	const service = "service-3.shop"
	one := pool[slices.IndexFunc(pool, func(s *jaegermodel.Span) bool { return s.Process.Service == service })]
	rare := map[string]string{}
	one.EachTag(func(kv *jaegermodel.KeyValue) {
		if kv.Key == "http.request.body.size" || kv.Key == "url.path" {
			rare[kv.Key] = kv.Text()
		}
	})
	slowest := time.Duration(0)
	for _, q := range []struct {
		name string
		tags map[string]string
		min  time.Duration
	}{
		{"service and a tag that one in a hundred has", map[string]string{"http.response.status_code": "503"}, 0},
		{"service and two rare tags", rare, 0},
		{"service and duration", nil, 100 * time.Millisecond},
	} {
		took, err := search(ctx, h, storage.Query{
			Service: service, Start: base, End: base.Add(24 * time.Hour), Limit: 20, Tags: q.tags, MinDuration: q.min,
		})
		if err != nil {
			return fmt.Errorf("search by %s: %w", q.name, err)
		}
		t.row("search by "+q.name, seconds(took.Seconds()))
		if q.tags != nil {
			slowest = max(slowest, took)
		}
	}
	r.target("spans/s into the local store", perSecond, atLeast, 30_000, "%.0f")
	r.target("slowest search by service and tag in ms, "+thousands(float64(written))+" spans", slowest.Seconds()*1e3, atMost, 200, "%.1f")
	return nil
}

// search returns the longest time that the search took.
func search(ctx context.Context, h *local.Handle, q storage.Query) (slowest time.Duration, err error) {
	for range 9 {
		began := time.Now()
		found, err := h.FindTraces(ctx, q)
		if err != nil {
			return 0, err
		}
		if len(found) == 0 {
			return 0, errors.New("nothing is found")
		}
		slowest = max(slowest, time.Since(began))
	}
	return slowest, nil
}

// diskUsage is the size of all files below dir.
func diskUsage(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) { // a compaction has just removed it
			return nil
		}
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}
