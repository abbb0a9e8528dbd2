package tap

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
	"unique"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is a Detailer whose entries are their paths.
type wire struct{}

func (wire) ReadDetail(e *mesh.Entry, d *mesh.Detail) bool {
	*d = mesh.Detail{
		Path: string(e.Wire), Authority: "shop", CodeDetails: "via_upstream",
		DecisionID: "d-1", PolicyRule: "authz/allow:7", Client: mesh.Addr{Host: "10.0.0.1", Port: 4711},
	}
	return true
}

func newTap(t testing.TB, change func(*Config)) *Tap {
	t.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	tap, err := New(cfg, prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return tap
}

func peer(name string) mesh.Peer {
	w := mesh.UnknownWorkload()
	w.Name, w.Namespace, w.Principal = name, "shop", "spiffe://mesh/ns/shop/sa/"+name
	return unique.Make(w)
}

func entry(from, to string, code uint32) mesh.Entry {
	return mesh.Entry{
		Source: peer(from), Destination: peer(to), Reporter: mesh.ReporterDestination, Code: code, GRPCStatus: mesh.NoGRPCStatus,
		Service:  unique.Make(mesh.DestinationService{Host: to + ".shop.svc.cluster.local", Name: to, Namespace: "shop"}),
		Duration: 7 * time.Millisecond, Method: "GET", TraceID: "0af7651916cd43dd8448eb211c80319c", Wire: []byte("/cart?token=abc&page=2"),
	}
}

func denied(e mesh.Entry) mesh.Entry {
	e.Code, e.Flags = 403, 1<<12
	return e
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func consume(t testing.TB, tap *Tap, at time.Time, entries ...mesh.Entry) {
	t.Helper()
	for i := range entries {
		entries[i].Start = at
	}
	if err := tap.Consume(t.Context(), &mesh.Batch{Entries: entries, Received: at, Details: wire{}}); err != nil {
		t.Fatal(err)
	}
}

func filter(t testing.TB, query string) Filter {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ParseFilter(q)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return f
}

func TestFailuresAreKept(t *testing.T) {
	tap := newTap(t, func(c *Config) { c.ErrorsPerEdge = 3 })
	for i := range 5 {
		consume(t, tap, start.Add(time.Duration(i)*time.Second), entry("a", "b", 503), entry("a", "b", 200), entry("a", "b", 404))
	}
	consume(t, tap, start, denied(entry("c", "b", 0)))
	f := func(query string, want int) []*Entry {
		t.Helper()
		got := tap.Failures(filter(t, query), 100)
		if len(got) != want {
			t.Errorf("%q: %d failures; want %d", query, len(got), want)
		}
		return got
	}
	f("", 4)
	f("from=a", 3)
	f("from=a.shop&to=b.shop&service=b", 3)
	f("from=a.other", 0)
	f("outcome=denied", 1)
	f("code=5xx", 3)
	f("path=/cart", 4)
	f("path=/other", 0)
	f("path=*page=2", 4)
	f("min_duration=8ms", 0)
	got := f("outcome=error", 3)
	if !got[0].Time.Equal(start.Add(4*time.Second)) || !got[2].Time.Equal(start.Add(2*time.Second)) {
		t.Errorf("not the last three, the newest first: %v %v", got[0].Time, got[2].Time)
	}
	e := f("outcome=denied", 1)[0]
	if e.Path != "/cart?token=[masked]&page=2" || e.Rule != "authz/allow:7" || e.DecisionID != "d-1" || e.TraceID == "" ||
		e.Client != "10.0.0.1:4711" || e.SourcePrincipal != "spiffe://mesh/ns/shop/sa/c" || e.Flags != "UAEX" {
		t.Errorf("%+v", e)
	}
	if found, ok := tap.Find(e.ID); !ok || found != e {
		t.Errorf("Find(%s) = %+v, %v", e.ID, found, ok)
	}
	if _, ok := tap.Find("nothing"); ok {
		t.Error("found nothing")
	}
}

// A storm of errors of one edge costs it its budget, and takes nothing from
// others; the edges are bounded.
func TestFailuresAreBounded(t *testing.T) {
	tap := newTap(t, func(c *Config) { c.ErrorsPerEdge, c.MaxEdges = 1000, 20 })
	storm := make([]mesh.Entry, 1000)
	for i := range storm {
		storm[i] = entry("a", "b", 500)
	}
	consume(t, tap, start, storm...)
	consume(t, tap, start, entry("c", "b", 500))
	if got := len(tap.Failures(Filter{}, 1000)); got != failuresPerSecond+1 {
		t.Errorf("%d; want %d of the storm and 1 of the other", got, failuresPerSecond)
	}
	for i := range 100 {
		consume(t, tap, start.Add(time.Duration(i)*time.Second), entry(fmt.Sprintf("s%d", i), "b", 500))
	}
	if n := len(tap.failures.edges); n > 20 {
		t.Errorf("%d edges; want at most 20", n)
	}
	if got := tap.Failures(filter(t, "from=s99"), 10); len(got) != 1 {
		t.Error("the last one is not there")
	}
}

func TestReconfigure(t *testing.T) {
	tap := newTap(t, func(c *Config) { c.ErrorsPerEdge = 5 })
	cfg := DefaultConfig()
	for i := range 8 {
		consume(t, tap, start.Add(time.Duration(i)*time.Second), entry("a", "b", 503))
	}
	for _, n := range []int{2, 7, 0} {
		cfg.ErrorsPerEdge, cfg.MaskQuery = n, []string{"Page"}
		if err := tap.Reconfigure(cfg); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			consume(t, tap, start.Add(time.Duration(100*n+i)*time.Second), entry("a", "b", 503))
		}
	}
	if got := tap.Failures(Filter{}, 100); len(got) != 6 || got[0].Path != "/cart?token=abc&page=[masked]" {
		t.Errorf("%d failures; want 2 and then 4 more; %s", len(got), got[0].Path)
	}
	cfg.MaxRate = 0
	if err := tap.Reconfigure(cfg); err == nil || !strings.Contains(err.Error(), "max_rate") {
		t.Errorf("max_rate 0: %v", err)
	}
}

func TestWatch(t *testing.T) {
	tap := newTap(t, nil)
	f := func(query string, want ...uint32) {
		t.Helper()
		w, stop := tap.Watch(filter(t, query))
		defer stop()
		slow := entry("a", "b", 201)
		slow.Duration = time.Second
		post := entry("a", "b", 202)
		post.Method, post.Wire = "POST", []byte("/pay")
		consume(t, tap, start, entry("a", "b", 200), slow, post, entry("c", "b", 503), denied(entry("a", "d", 0)))
		var got []uint32
		for len(w.Entries()) > 0 {
			got = append(got, (<-w.Entries()).Code)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %v; want %v", query, got, want)
		}
	}
	f("", 200, 201, 202, 503, 403)
	f("outcome=ok", 200, 201, 202)
	f("outcome=error,denied", 503, 403)
	f("code=2xx", 200, 201, 202)
	f("code=202", 202)
	f("code=201-300", 201, 202)
	f("from=c", 503)
	f("to=d.shop", 403)
	f("service=d", 403)
	f("service=*.cluster.local&from=c", 503)
	f("path=/pay", 202)
	f("path=*token=abc*&code=200", 200) // it is judged before it is masked
	f("method=post", 202)
	f("min_duration=500ms", 201)
	f("reporter=source")
	if tap.watchers.Load() != nil {
		t.Error("nobody watches any more, but an entry is asked about it")
	}
}

func TestParseFilterRefuses(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		q, _ := url.ParseQuery(query)
		if _, err := ParseFilter(q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", query, err, want)
		}
	}
	f("code=6xx", "code=6xx")
	f("code=five", "code=five")
	f("code=500-400", "want a code")
	f("outcome=fine", "outcome=fine")
	f("reporter=me", "reporter=me")
	f("min_duration=long&code=x", "min_duration=long")
}

// One who does not keep up, or wants too much, is told what is missing; the
// others get theirs.
func TestWatchersMiss(t *testing.T) {
	tap := newTap(t, func(c *Config) { c.MaxRate = 100 })
	slow, stopSlow := tap.Watch(filter(t, ""))
	defer stopSlow()
	quiet, stopQuiet := tap.Watch(filter(t, "from=c"))
	defer stopQuiet()
	for second := range 4 {
		for range 150 {
			consume(t, tap, start.Add(time.Duration(second)*time.Second), entry("a", "b", 200))
		}
	}
	consume(t, tap, start.Add(time.Minute), entry("c", "b", 200))
	if got, want := len(slow.Entries()), queue; got != want {
		t.Errorf("%d wait; want %d", got, want)
	}
	if got := slow.Missed(); got != 601-queue {
		t.Errorf("%d missed; want %d", got, 601-queue)
	}
	if len(quiet.Entries()) != 1 || quiet.Missed() != 0 {
		t.Errorf("the other one: %d, missed %d", len(quiet.Entries()), quiet.Missed())
	}
	if got := testutil.ToFloat64(tap.m.missed); got != 601-queue {
		t.Errorf("%v counted as missed", got)
	}
}

func TestConcurrently(t *testing.T) {
	tap := newTap(t, nil)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				consume(t, tap, start.Add(time.Duration(i)*time.Second), entry(fmt.Sprintf("s%d", g), "b", 500), entry("a", "b", 200))
			}
		})
		wg.Go(func() {
			for range 50 {
				w, stop := tap.Watch(filter(t, "from=s1"))
				for len(w.Entries()) > 0 {
					<-w.Entries()
				}
				tap.Failures(Filter{}, 10)
				tap.Find("x")
				stop()
			}
		})
	}
	wg.Wait()
}

// The receive buffer is used again: what is kept must be a copy.
func TestOwnsItsMemory(t *testing.T) {
	tap := newTap(t, nil)
	buffer := []byte("/cart?page=1 GET0af7651916cd43dd8448eb211c80319c")
	e := entry("a", "b", 503)
	e.Wire, e.Method, e.TraceID = buffer[:12], lend(buffer[13:16]), lend(buffer[16:])
	consume(t, tap, start, e)
	for i := range buffer {
		buffer[i] = 'X'
	}
	if got := tap.Failures(Filter{}, 1)[0]; got.Path != "/cart?page=1" || got.Method != "GET" || got.TraceID[0] != '0' {
		t.Errorf("%+v", got)
	}
}

func batchOf(n int) *mesh.Batch {
	b := &mesh.Batch{Received: start, Details: wire{}}
	for i := range n {
		b.Entries = append(b.Entries, entry(fmt.Sprintf("s%d", i%8), "b", 200))
	}
	return b
}

func TestClosedTapDoesNotAllocate(t *testing.T) {
	tap, b := newTap(t, nil), batchOf(64)
	if n := testing.AllocsPerRun(100, func() { _ = tap.Consume(context.Background(), b) }); n > 0 {
		t.Errorf("%v allocations per batch of entries that did not fail", n)
	}
	_, stop := tap.Watch(filter(t, "from=nobody"))
	defer stop()
	_ = tap.Consume(context.Background(), b)
	if n := testing.AllocsPerRun(100, func() { _ = tap.Consume(context.Background(), b) }); n > 0 {
		t.Errorf("%v allocations per batch that a filter does not pass", n)
	}
}

func BenchmarkConsume(b *testing.B) {
	f := func(name, query string, code uint32) {
		b.Run(name, func(b *testing.B) {
			tap := newTap(b, nil)
			if query != "closed" {
				w, stop := tap.Watch(filter(b, query))
				defer stop()
				done := make(chan struct{})
				defer close(done)
				go func() {
					for {
						select {
						case <-w.Entries():
						case <-done:
							return
						}
					}
				}()
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				batch := batchOf(64)
				for i := range batch.Entries {
					batch.Entries[i].Code = code
				}
				for pb.Next() {
					_ = tap.Consume(context.Background(), batch)
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/entry")
		})
	}
	f("closed", "closed", 200)
	f("closed, all fail", "closed", 503)
	f("open, none denied", "outcome=denied", 200)
	f("open, code", "code=5xx", 200)
	f("open, from nobody", "from=nobody", 200)
	f("open, beyond the rate", "", 200)
}

// lend makes a string of bytes that change later, as the decoder does.
func lend(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
