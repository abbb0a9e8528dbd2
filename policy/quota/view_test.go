package quota

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tallygate/tallygate/mesh"
)

func newBenchLimiter() (*Limiter, error) {
	cfg := DefaultConfig()
	cfg.Local.MaxSizeMiB = 200
	return New(cfg, Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
}

// busy has charged alice 9 of 10, bob 1 of 10, carol 20 of 10, and a shadow.
func busy(t *testing.T) (*Limiter, *testClock) {
	t.Helper()
	l, c := newTestLimiter(t, DefaultConfig())
	for key, n := range map[string]int{"alice": 9, "bob": 1, "carol": 20} {
		for range n {
			once(t, l, perSecond("user", key, 10))
		}
	}
	paid := perSecond("user", "dave", 100)
	once(t, l, paid)
	watched := perSecond("watched", "", 1)
	watched.Shadow = true
	for range 3 {
		once(t, l, watched)
	}
	return l, c
}

func TestList(t *testing.T) {
	l, c := busy(t)
	want := []View{
		{Name: "user", Limits: []LimitView{{10, "1s", 10, "gcra"}, {100, "1s", 100, "gcra"}}, Keys: 4, Near: 2, Passed: 21, Over: 10, Tokens: 21},
		{Name: "watched", Limits: []LimitView{{1, "1s", 1, "gcra"}}, Keys: 1, Near: 1, Passed: 1, ShadowOver: 2, Tokens: 1},
	}
	got := l.List()
	for i := range got {
		if got[i].Name == "user" && got[i].Limits[0].Limit == 100 { // the order in which they came
			got[i].Limits[0], got[i].Limits[1] = got[i].Limits[1], got[i].Limits[0]
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	c.t = c.t.Add(time.Minute)
	if got := l.List()[0]; got.Keys != 0 || got.Passed != 21 {
		t.Errorf("a minute later: %+v", got)
	}
}

func TestTop(t *testing.T) {
	l, _ := busy(t)
	f := func(name, by string, n int, want ...string) {
		t.Helper()
		list, err := l.Top(name, by, n)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range list {
			got = append(got, k.Name+"/"+k.Key)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("top %d of %q by %s: %v; want %v", n, name, by, got, want)
		}
	}
	f("user", ByUsed, 2, "user/carol", "user/alice")
	f("", ByCharges, 3, "user/carol", "user/alice", "watched/")
	f("", ByOver, 1, "user/carol")
	f("none", ByUsed, 5)
	if _, err := l.Top("", "size", 5); err == nil || !strings.Contains(err.Error(), `"size" is none of used, charges, over`) {
		t.Errorf("got %v", err)
	}
}

func TestGetResetExplain(t *testing.T) {
	l, _ := busy(t)
	got, err := l.Get("user", "carol")
	if err != nil {
		t.Fatal(err)
	}
	want := []KeyView{{Name: "user", Key: "carol", LimitView: LimitView{10, "1s", 10, "gcra"}, Used: 1, Reset: "1s", Charges: 10, Over: 10}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if s := strings.Join(l.Explain("user", "carol"), "\n"); !strings.Contains(s, "is refused, and passes in 100ms") || !strings.Contains(s, "full again in 1s; 10 charges passed and 10 were refused here") {
		t.Errorf("explained:\n%s", s)
	}
	if n, err := l.Reset("user", "carol"); n == 0 || err != nil {
		t.Errorf("%d states were reset, %v", n, err)
	}
	if got, err := l.Get("user", "carol"); len(got) != 0 || err != nil {
		t.Errorf("after a reset: %+v", got)
	}
	if r := once(t, l, perSecond("user", "carol", 10)); r.Remaining != 9 {
		t.Errorf("after a reset: %+v", r)
	}
	if s := strings.Join(l.Explain("user", "nobody"), "\n"); !strings.Contains(s, "full: all 10 are left") {
		t.Errorf("explained:\n%s", s)
	}
	if s := strings.Join(l.Explain("none", "nobody"), "\n"); !strings.Contains(s, `No quota "none" was charged`) {
		t.Errorf("explained:\n%s", s)
	}
	if n, err := l.Reset("user", "nobody"); n != 0 || err != nil {
		t.Errorf("%d states of nobody were reset", n)
	}
}

func TestMetrics(t *testing.T) {
	cfg := DefaultConfig()
	cfg.TopKeys = 2
	reg := prometheus.NewPedanticRegistry()
	c := &testClock{time.Unix(1e9, 0)}
	l, err := New(cfg, Options{Metrics: reg, Log: slog.New(slog.DiscardHandler), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		for range i {
			once(t, l, perSecond("user", fmt.Sprint("\xff", i), 4))
		}
	}
	err = testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP tallygate_quota_charges_total Charges by quota and result: passed, over (refused), shadow_over (would have been), spared (another quota of the request refused). Quotas beyond the first 256 are other.
# TYPE tallygate_quota_charges_total counter
tallygate_quota_charges_total{quota="other",result="over"} 0
tallygate_quota_charges_total{quota="other",result="passed"} 0
tallygate_quota_charges_total{quota="other",result="shadow_over"} 0
tallygate_quota_charges_total{quota="other",result="spared"} 0
tallygate_quota_charges_total{quota="user",result="over"} 1
tallygate_quota_charges_total{quota="user",result="passed"} 14
tallygate_quota_charges_total{quota="user",result="shadow_over"} 0
tallygate_quota_charges_total{quota="user",result="spared"} 0
# HELP tallygate_quota_near_limit_total Charges that passed and left less than a fifth of the limit.
# TYPE tallygate_quota_near_limit_total counter
tallygate_quota_near_limit_total{quota="other"} 0
tallygate_quota_near_limit_total{quota="user"} 2
# HELP tallygate_quota_top_key_charges Charges of the keys of a quota with the most, since each key came; all others together are other.
# TYPE tallygate_quota_top_key_charges gauge
tallygate_quota_top_key_charges{key="`+"\uFFFD"+`4",quota="user"} 4
tallygate_quota_top_key_charges{key="`+"\uFFFD"+`5",quota="user"} 5
tallygate_quota_top_key_charges{key="other",quota="user"} 6
`), MetricCharges, MetricNearLimit, MetricTopKeyCharges)
	if err != nil {
		t.Error(err)
	}
}

var _ mesh.Limiter = (*Limiter)(nil)
