package envoysim

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

const exposition = `# HELP a_total help {x="y"} 3
# TYPE a_total counter
a_total{x="1"} 3
a_total{x="with } and space",y="2"} 4 1700000000000
a_total_more 100
b_seconds_bucket{x="1",le="0.1"} 10
b_seconds_bucket{x="2",le="0.1"} 10
b_seconds_bucket{x="1",le="0.2"} 30
b_seconds_bucket{x="2",le="0.2"} 10
b_seconds_bucket{x="1",le="+Inf"} 30
b_seconds_bucket{x="2",le="+Inf"} 10
b_seconds_count{x="1"} 30
`

func TestReadMetrics(t *testing.T) {
	polls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		polls++
		fmt.Fprint(w, exposition)
		fmt.Fprintln(w, "polls_total", polls)
	}))
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if got, err := ReadCounter(t.Context(), srv.URL, "a_total"); got != 7 || err != nil {
		t.Errorf("a_total = %v, %v; want 7", got, err)
	}
	if got, err := WaitCounter(t.Context(), srv.URL, "polls_total", 4); got != 4 || err != nil {
		t.Errorf("polls_total = %v, %v; want 4", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := WaitCounter(ctx, srv.URL, "absent_total", 1); err == nil {
		t.Error("a wait for what does not come has no error")
	}
	h, err := ReadHistogram(t.Context(), srv.URL, "b_seconds")
	if err != nil || h.Count() != 40 {
		t.Fatalf("histogram %v, %v; want 40 observations", h, err)
	}
	if got := h.Quantile(0.75); math.Abs(got-0.15) > 1e-9 {
		t.Errorf("Quantile(0.75) = %v; want 0.15", got)
	}
	if got := h.Max(); got != 0.2 {
		t.Errorf("Max() = %v; want 0.2", got)
	}
	if d := h.Since(h); d.Count() != 0 || !math.IsNaN(d.Quantile(0.5)) {
		t.Errorf("a histogram since itself is %v", d)
	}
}

func TestProcess(t *testing.T) {
	for end := time.Now().Add(60 * time.Millisecond); time.Now().Before(end); {
	}
	if d, err := CPUTime(os.Getpid()); err != nil || d <= 0 {
		t.Errorf("CPUTime = %v, %v", d, err)
	}
	now, peak, err := RSS(os.Getpid())
	if err != nil || now < 1<<20 || peak < now {
		t.Errorf("RSS = %d, %d, %v", now, peak, err)
	}
	if _, err := CPUTime(-1); err == nil {
		t.Error("CPUTime of no process has no error")
	}
}
