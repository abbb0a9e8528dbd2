package prometheus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/red"
)

func unmarshal(b []byte, m protobuf.Message) error { return protobuf.Unmarshal(b, m) }

// gatherFunc is a Gatherer.
type gatherFunc func() ([]*dto.MetricFamily, error)

func (f gatherFunc) Gather() ([]*dto.MetricFamily, error) { return f() }

func serve(h http.Handler, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", acceptText)
	change(r)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestGzip(t *testing.T) {
	table := newTable(t, false, entries(50)...)
	plain := serve(newHandler(t, table), func(*http.Request) {})
	f := func(acceptEncoding string, zipped bool) {
		t.Helper()
		h := newHandler(t, table)
		w := serve(h, func(r *http.Request) { r.Header.Set("Accept-Encoding", acceptEncoding) })
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != zipped {
			t.Errorf("Accept-Encoding %q: gzip %v; want %v", acceptEncoding, got, zipped)
			return
		}
		var body io.Reader = w.Body
		if zipped {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatalf("NewReader: %v", err)
			}
			body = z
		}
		got, err := io.ReadAll(body)
		if err != nil {
			t.Fatalf("ReadAll: %v", err)
		}
		if !bytes.Equal(got, plain.Body.Bytes()) {
			t.Errorf("Accept-Encoding %q: another body than without", acceptEncoding)
		}
	}
	f("gzip", true)
	f("deflate, gzip;q=0.5", true)
	f("", false)
	f("br", false)
	f("gzip;q=0", false)
	f("gzip; q=0.00", false)
	f("identity", false)
}

func TestMethods(t *testing.T) {
	h := newHandler(t, newTable(t, false, entries(1)...))
	if w := serve(h, func(r *http.Request) { r.Method = http.MethodPost }); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d; want 405", w.Code)
	}
	if w := serve(h, func(r *http.Request) { r.Method = http.MethodHead }); w.Code != http.StatusOK || w.Body.Len() > 0 {
		t.Errorf("HEAD: status %d, %d bytes; want 200 and none", w.Code, w.Body.Len())
	}
}

// TestBooksAfterSnapshot checks the order that makes the books balance.
func TestBooksAfterSnapshot(t *testing.T) {
	table := newTable(t, false)
	h, err := New(DefaultConfig(), table, gatherFunc(func() ([]*dto.MetricFamily, error) {
		consume(t, table, entries(1)...) // comes after the snapshot
		f := family("tallygate_als_entries_received_total", "Entries.", dto.MetricType_COUNTER)
		add(f, float64(table.Stats().Counted))
		return []*dto.MetricFamily{f}, nil
	}))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	body, _ := get(t, h, acceptOpenMetrics)
	for _, line := range []string{
		"tallygate_red_entries_counted_total 0.0\n", "tallygate_als_entries_received_total 1.0\n",
		"tallygate_prometheus_scrapes_total{outcome=\"ok\"} 0.0\n",
	} {
		if !bytes.Contains(body, []byte(line)) {
			t.Errorf("there is no line %q in:\n%s", line, body)
		}
	}
	if n := bytes.Count(body, []byte("# EOF")); n != 1 || !bytes.HasSuffix(body, []byte("\n# EOF\n")) {
		t.Errorf("%d EOF lines, or not at the end", n)
	}
}

func TestGatherFails(t *testing.T) {
	h, err := New(DefaultConfig(), newTable(t, false, entries(1)...), gatherFunc(func() ([]*dto.MetricFamily, error) {
		return nil, errors.New("no books today")
	}))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if w := serve(h, func(*http.Request) {}); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "no books today") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

func TestTooManyScrapes(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	cfg := DefaultConfig()
	cfg.MaxConcurrentScrapes = 1
	h, err := New(cfg, newTable(t, false), gatherFunc(func() ([]*dto.MetricFamily, error) {
		inside <- struct{}{}
		<-leave
		return nil, nil
	}))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	done := make(chan int)
	go func() { done <- serve(h, func(*http.Request) {}).Code }()
	<-inside
	if w := serve(h, func(*http.Request) {}); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("status %d; want 503", w.Code)
	}
	close(leave)
	if code := <-done; code != http.StatusOK {
		t.Errorf("status %d; want 200", code)
	}
}

// TestSlowClientIsCut checks that a scrape which does not end is no shorter
// scrape.
func TestSlowClientIsCut(t *testing.T) {
	f := func(encoding string) {
		t.Helper()
		cfg := DefaultConfig()
		cfg.ScrapeTimeout = 500 * time.Millisecond
		h, err := New(cfg, newTable(t, false, entries(3000)...), prometheus.NewRegistry())
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		ended := make(chan struct{})
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			h.ServeHTTP(w, r)
		}))
		defer srv.Close()
		r, err := http.NewRequest(http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", encoding)
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatalf("Do: %v", err)
		}
		defer resp.Body.Close()
		<-ended // nothing is read until the server has given up
		if n, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Errorf("%s: a scrape that was cut after %d bytes looks whole", encoding, n)
		}
		body, _ := get(t, h, acceptText)
		if !bytes.Contains(body, []byte("tallygate_prometheus_scrapes_total{outcome=\"failed\"} 1\n")) {
			t.Errorf("%s: the scrape is not counted as failed", encoding)
		}
	}
	f("identity")
}

func TestCanceledScrape(t *testing.T) {
	h := newHandler(t, newTable(t, false, entries(10)...))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("the connection is not cut")
		}
	}()
	serve(h, func(r *http.Request) { *r = *r.WithContext(ctx) })
}

func TestWaitFinalScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := red.DefaultConfig()
		table, err := red.New(cfg, nil)
		if err != nil {
			t.Fatalf("red.New: %v", err)
		}
		inside, leave := make(chan struct{}), make(chan struct{})
		h, err := New(DefaultConfig(), table, gatherFunc(func() ([]*dto.MetricFamily, error) {
			inside <- struct{}{}
			<-leave
			return nil, nil
		}))
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		scrape := func() chan string {
			body := make(chan string, 1)
			go func() { body <- serve(h, func(*http.Request) {}).Body.String() }()
			<-inside
			return body
		}
		before := scrape() // began before the call: not the one
		consume(t, table, entries(1)...)

		waited := make(chan error, 1)
		go func() { waited <- h.WaitFinalScrape(t.Context()) }()
		synctest.Wait()
		leave <- struct{}{}
		if body := <-before; strings.Contains(body, red.MetricRequests+"{") {
			t.Errorf("the first scrape has the entry:\n%s", body)
		}
		synctest.Wait()
		select {
		case <-waited:
			t.Fatal("a scrape that began before the call was the final one")
		default:
		}

		after := scrape()
		select {
		case <-waited:
			t.Fatal("a scrape that has not finished was the final one")
		default:
		}
		leave <- struct{}{}
		if body := <-after; !strings.Contains(body, "connection_security_policy=\"mutual_tls\"} 1\n") {
			t.Errorf("the final scrape holds the entry back:\n%s", body)
		}
		if err := <-waited; err != nil {
			t.Errorf("WaitFinalScrape: %v", err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := h.WaitFinalScrape(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitFinalScrape without a scrape: %v; want a deadline", err)
		}
	})
}

// TestCacheForgets checks that label sets of series that are gone are not kept.
func TestCacheForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := red.DefaultConfig()
		table, err := red.New(cfg, nil)
		if err != nil {
			t.Fatalf("red.New: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = table.Run(ctx) }()
		es := entries(300)
		consume(t, table, es...)
		h := newHandler(t, table)
		get(t, h, acceptText)
		get(t, h, acceptProto)
		if n := len(h.text.byID); n != 300 {
			t.Errorf("%d label sets; want 300", n)
		}
		time.Sleep(cfg.Expiry / 2)
		consume(t, table, es[:10]...)
		time.Sleep(cfg.Expiry/2 + time.Minute)
		get(t, h, acceptText)
		if n := len(h.text.byID); n != 10 {
			t.Errorf("%d label sets after the expiry; want 10", n)
		}
		get(t, h, acceptProto)
		if n := len(h.proto.byID); n != 10 {
			t.Errorf("%d protobuf label sets after the expiry; want 10", n)
		}
		cancel()
	})
}

// TestScrapeDoesNotAllocatePerRow checks that a scrape's garbage does not grow
// with the mesh.
func TestScrapeDoesNotAllocatePerRow(t *testing.T) {
	for _, accept := range []string{acceptText, acceptOpenMetrics, acceptProto} {
		h := newHandler(t, newTable(t, true, entries(2000)...))
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", accept)
		w := &discard{header: http.Header{}}
		if n := testing.AllocsPerRun(3, func() { h.ServeHTTP(w, r) }); n > 1000 {
			t.Errorf("%v allocations for 2000 rows as %s", n, w.header.Get("Content-Type"))
		}
	}
}

func TestEveryLabelExcluded(t *testing.T) {
	cfg := red.DefaultConfig()
	cfg.ZeroFor = 0
	for l := range mesh.NumLabels {
		cfg.ExcludeLabels = append(cfg.ExcludeLabels, l.String())
	}
	table, err := red.New(cfg, nil)
	if err != nil {
		t.Fatalf("red.New: %v", err)
	}
	consume(t, table, entries(5)...)
	var s red.Snapshot
	table.Snapshot(&s)
	for _, accept := range []string{acceptText, acceptOpenMetrics, acceptProto} {
		body, contentType := get(t, newHandler(t, table), accept)
		w := want(&s, false)
		compare(t, parse(t, body, contentType), w)
	}
}

func TestConfigValidate(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Errorf("DefaultConfig: %v", err)
	}
	c = Config{}
	want := "max_concurrent_scrapes: must be at least 1, is 0\nscrape_timeout: must be positive, is 0s"
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("Validate: %v; want %s", err, want)
	}
	if _, err := New(c, nil, nil); err == nil {
		t.Error("New takes a bad configuration")
	}
}

// TestScrapesWhileCounting scrapes in every format at once, of a table that is
// counting; each exposition balances in itself.
func TestScrapesWhileCounting(t *testing.T) {
	table := newTable(t, true)
	h := newHandler(t, table)
	stop := make(chan struct{})
	var counting, scraping sync.WaitGroup
	es := entries(10)
	counting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				consume(t, table, es...)
			}
		}
	})
	for _, accept := range []string{acceptText, acceptOpenMetrics, acceptProto} {
		scraping.Go(func() {
			for range 3 {
				body, contentType := get(t, h, accept)
				requests, durations := 0.0, 0.0
				for key, s := range parse(t, body, contentType) {
					switch {
					case strings.Contains(key, `__name__="`+red.MetricRequests+`"`):
						requests += s.value
					case strings.Contains(key, `__name__="`+red.MetricRequestDuration+`_count"`):
						durations += s.value
					}
				}
				if requests != durations {
					t.Errorf("%s: %v requests, %v durations", contentType, requests, durations)
				}
			}
		})
	}
	scraping.Wait()
	close(stop)
	counting.Wait()
}
