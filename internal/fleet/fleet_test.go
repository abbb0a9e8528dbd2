package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/internal/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// says is a replica that answers v.
func says(name string, v any) Source {
	return Source{Name: name, Get: func(_ context.Context, _ string, to any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, to)
	}}
}

var errDown = errors.New("connection refused")

func down(name string) Source {
	return Source{Name: name, Get: func(context.Context, string, any) error { return errDown }}
}

func hangs(name string) Source {
	return Source{Name: name, Get: func(ctx context.Context, _ string, _ any) error {
		<-ctx.Done()
		return ctx.Err()
	}}
}

func answers(name string, n int) Each[int] {
	return Each[int]{Replicas: []Replica{{Name: name}}, Answers: []Of[int]{{name, n}}}
}

// TestAsk: all are asked at once and for themselves, one that hangs hides nobody,
// and an answer names everybody once.
func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got, err := AskEach[int](t.Context(), []Source{
			hangs("10.0.0.1:8282"), says("10.0.0.2:8282", answers("b", 2)), down("10.0.0.3:8282"), hangs("10.0.0.4:8282"),
			says("10.0.0.5:8282", answers("a", 1)), says("replicas:8282", answers("b", 2)), // by another name
		}, "/api/v1/quotas", nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != patience {
			t.Errorf("took %s; want the patience with the two that hang, %s", took, patience)
		}
		if want := []Of[int]{{"a", 1}, {"b", 2}}; !slices.Equal(got.Answers, want) {
			t.Errorf("answers %v; want %v", got.Answers, want)
		}
		var names []string
		for _, r := range got.Replicas {
			names = append(names, r.Name+" "+r.Error)
		}
		want := "10.0.0.1:8282 context deadline exceeded,10.0.0.3:8282 connection refused,10.0.0.4:8282 context deadline exceeded,a ,b "
		if got := strings.Join(names, ","); got != want {
			t.Errorf("replicas %s; want %s", got, want)
		}
	})
}

func TestAskSaysForItself(t *testing.T) {
	var asked []string
	s := Source{Name: "a", Get: func(_ context.Context, path string, _ any) error {
		asked = append(asked, path)
		return nil
	}}
	q := url.Values{"since": {"1m"}}
	Ask[Stat](t.Context(), []Source{s}, "/api/v1/stat", q)
	if want := []string{"/api/v1/stat?replicas=own&since=1m"}; !slices.Equal(asked, want) || q.Has("replicas") {
		t.Errorf("asked %v, left %v; want %v and the query as it was", asked, q, want)
	}
}

// TestNobodyAnswers: only then it is an error, which is that of the replicas.
func TestNobodyAnswers(t *testing.T) {
	for name, ask := range map[string]func([]Source) error{
		"stat":    func(s []Source) error { _, err := AskStat(t.Context(), s, nil); return err },
		"edges":   func(s []Source) error { _, err := AskEdges(t.Context(), s, nil); return err },
		"history": func(s []Source) error { _, err := AskHistory(t.Context(), s, nil); return err },
		"entries": func(s []Source) error { _, err := AskEntries(t.Context(), s, nil); return err },
		"each":    func(s []Source) error { _, err := AskEach[int](t.Context(), s, "/", nil); return err },
	} {
		if err := ask([]Source{down("a"), down("b")}); !errors.Is(err, errDown) {
			t.Errorf("%s, of two that are down: %v", name, err)
		}
		if err := ask([]Source{down("a"), says("b", struct{}{})}); err != nil {
			t.Errorf("%s, of one that is down: %v", name, err)
		}
		if err := ask(nil); err != nil {
			t.Errorf("%s, of nobody: %v", name, err)
		}
	}
}

// stat is what a replica has of requests that took so many milliseconds.
func stat(name string, bounds []float64, took ...float64) Stat {
	f := Figures{Requests: uint64(len(took)), Rate: float64(len(took)), Buckets: make([]uint64, len(bounds)+1)}
	for _, ms := range took {
		i, _ := slices.BinarySearch(bounds, ms)
		f.Buckets[i]++
		f.Nanos += uint64(ms * 1e6)
	}
	return Stat{Replicas: []Replica{{Name: name}}, By: []string{"to"}, Bounds: bounds, Rows: []Row{{Values: []string{"backend"}, Figures: f, SeenBy: []string{name}}}}
}

// TestMergeStat: counts, rates and histograms add up, so that quantiles are those
// of all requests; not the mean of quantiles.
func TestMergeStat(t *testing.T) {
	bounds := []float64{1, 10, 100, 1000}
	fast, slow := slices.Repeat([]float64{5}, 90), slices.Repeat([]float64{500}, 10)
	one := MergeStat([]Stat{stat("a", bounds, slices.Concat(fast, slow)...)}, false).Rows[0]
	two := MergeStat([]Stat{stat("a", bounds, fast...), stat("b", bounds, slow...)}, false).Rows[0]
	if one.P50 != two.P50 || one.P95 != two.P95 || one.P99 != two.P99 || one.Mean != two.Mean || two.Requests != 100 || two.Rate != 100 {
		t.Errorf("of two replicas %+v; want that of one with all requests, %+v", two, one)
	}
	if two.Mean != 54.5 || two.P50 > 10 || two.P95 < 100 || !slices.Equal(two.SeenBy, []string{"a", "b"}) {
		t.Errorf("%+v", two)
	}

	// While buckets are changed replicas have different ones: nothing is shown
	// faster than it was.
	mixed := MergeStat([]Stat{stat("a", bounds, fast...), stat("b", []float64{300, 3000}, slow...)}, true)
	if got := mixed.Rows[0].Buckets; !slices.Equal(got, []uint64{0, 90, 0, 0, 10}) {
		t.Errorf("buckets %v", got)
	}
}

func TestMergeReplicas(t *testing.T) {
	got := MergeReplicas([]Replica{{Name: "b", Error: "it hangs"}, {Name: "a", Version: "v1"}, {Name: "b", Version: "v2"}})
	if want := []Replica{{Name: "a", Version: "v1"}, {Name: "b", Version: "v2"}}; !slices.Equal(got, want) {
		t.Errorf("%+v; want one of each, the one that answered: %+v", got, want)
	}
}

// TestMergeHistory: steps are placed by their time, and what one replica has not
// covered is what the other has.
func TestMergeHistory(t *testing.T) {
	at := func(minutes ...int) (times []time.Time) {
		for _, m := range minutes {
			times = append(times, time.Date(2026, 1, 2, 3, m, 0, 0, time.UTC))
		}
		return times
	}
	point := func(rate float64) *Figures { return &Figures{Requests: 1, Rate: rate} }
	h := MergeHistory([]History{
		{By: []string{"to"}, Step: 60, Times: at(1, 2, 3), Series: []Series{{Values: []string{"x"}, Points: []*Figures{point(1), nil, point(3)}}}},
		{By: []string{"to"}, Step: 60, Times: at(2, 3, 4), Series: []Series{{Values: []string{"x"}, Points: []*Figures{point(20), point(30), nil}}, {Values: []string{"y"}, Points: []*Figures{nil, nil, point(5)}}}},
	}, false)
	var got []float64
	for _, s := range h.Series {
		for _, v := range s.Rate {
			if v == nil {
				got = append(got, -1)
			} else {
				got = append(got, *v)
			}
		}
	}
	if want := []float64{1, 20, 33, -1, -1, -1, -1, 5}; len(h.Times) != 4 || !slices.Equal(got, want) {
		t.Errorf("%d times, rates %v; want 4, %v", len(h.Times), got, want)
	}
}

// TestMergeEntries: the newest of all come first, and no more than a page shows.
func TestMergeEntries(t *testing.T) {
	part := func(name string, n int, first time.Time) Entries {
		e := Entries{Replicas: []Replica{{Name: name}}}
		for i := range n {
			e.Entries = append(e.Entries, Entry{Entry: tap.Entry{Time: first.Add(time.Duration(-2*i) * time.Second), Replica: name}})
		}
		return e
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got := MergeEntries([]Entries{part("a", 150, now), part("b", 150, now.Add(time.Second))}).Entries
	if len(got) != maxEntries || got[0].Replica != "b" || got[1].Replica != "a" || got[2].Replica != "b" {
		t.Errorf("%d entries, the first %+v", len(got), got[:3])
	}
	if !slices.IsSortedFunc(got, func(a, b Entry) int { return b.Time.Compare(a.Time) }) {
		t.Error("they are not in order")
	}
}
