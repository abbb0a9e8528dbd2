package prometheus

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A scrape computes only while it has a turn, and never holds one while it
// writes to the client.
func TestScrapesTakeTurns(t *testing.T) {
	for _, encoding := range []string{"identity", "gzip"} {
		h, err := New(DefaultConfig(), newTable(t, false, entries(100)...), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		held, taken := 0, 0
		h.TakeTurns(func() func() {
			held, taken = held+1, taken+1
			return func() { held-- }
		})
		w := &watched{ResponseRecorder: httptest.NewRecorder(), wrote: func() {
			if held != 0 {
				t.Errorf("%s: the client is written to in a turn", encoding)
			}
		}}
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept-Encoding", encoding)
		h.ServeHTTP(w, r)
		if w.Code != 200 || taken < 2 || held != 0 {
			t.Errorf("%s: %d; %d turns taken, %d held at the end", encoding, w.Code, taken, held)
		}
	}
}

// A scrape that Prometheus gives little time does not wait for turns.
func TestScrapesOfLittleTime(t *testing.T) {
	h, err := New(DefaultConfig(), newTable(t, false, entries(100)...), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	h.TakeTurns(func() func() { taken++; return func() {} })
	for timeout, want := range map[string]bool{"0.000000001": false, "": true, "10": true, "x": true, "-1": true} {
		taken = 0
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", timeout)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 || taken > 0 != want {
			t.Errorf("%q: %d with %d turns", timeout, w.Code, taken)
		}
	}
}

type watched struct {
	*httptest.ResponseRecorder
	wrote func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.wrote()
	return w.ResponseRecorder.Write(p)
}

func (w *watched) Flush() {
	w.wrote()
	w.ResponseRecorder.Flush()
}
