package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unique"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/quota"
	"github.com/tallygate/tallygate/red"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// replica is an API over a table of its own.
type replica struct {
	name    string
	table   *red.Table
	history *red.History
	quotas  *quota.Limiter
	mux     *http.ServeMux
	peers   []*replica
	broken  bool
}

// replicas calls fn in a bubble in which n replicas run, each the peer of the
// others.
func replicas(t *testing.T, n int, fn func(list []*replica)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var list []*replica
		done := make(chan error, n)
		for i := range n {
			r := &replica{name: fmt.Sprintf("replica-%d:9464", i), mux: http.NewServeMux()}
			var err error
			if r.table, err = red.New(red.DefaultConfig(), nil); err != nil {
				t.Fatal(err)
			}
			r.history = r.table.NewHistory()
			if r.quotas, err = quota.New(quota.DefaultConfig(), quota.Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}); err != nil {
				t.Fatal(err)
			}
			go func() { done <- r.history.Run(ctx) }()
			a := New(Options{
				Self:    func() fleet.Replica { return fleet.Replica{Name: r.name, Version: "v1"} },
				History: r.history,
				Quotas:  r.quotas,
				Peers: func(context.Context) (out []fleet.Source) {
					for _, p := range r.peers {
						out = append(out, fleet.Source{Name: "address of " + p.name, Get: p.get})
					}
					return out
				},
			})
			for _, route := range a.Routes() {
				r.mux.Handle(route.Pattern, route.Handler)
			}
			list = append(list, r)
		}
		for _, r := range list {
			r.peers = list // itself too, as a DNS name has it
		}
		synctest.Wait()
		fn(list)
		cancel()
		for range n {
			<-done
		}
	})
}

func (r *replica) get(_ context.Context, path string, v any) error {
	if r.broken {
		return errors.New("it hangs")
	}
	code, body := r.ask(path)
	if code != 200 {
		return fmt.Errorf("%d: %s", code, body)
	}
	return json.Unmarshal([]byte(body), v)
}

func (r *replica) ask(path string) (int, string) {
	w := httptest.NewRecorder()
	r.mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func ask[T any](t *testing.T, r *replica, path string) (v T) {
	t.Helper()
	if err := r.get(t.Context(), path, &v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

func entry(from, to string, code uint32, reporter mesh.Reporter) mesh.Entry {
	peer := func(name string) mesh.Peer {
		w := mesh.UnknownWorkload()
		w.Name, w.Namespace = name, "shop"
		return unique.Make(w)
	}
	return mesh.Entry{
		Source: peer(from), Destination: peer(to), Reporter: reporter,
		Service:    unique.Make(mesh.DestinationService{Host: to + ".shop.svc.cluster.local", Name: to, Namespace: "shop"}),
		GRPCStatus: mesh.NoGRPCStatus, Code: code, Duration: 7 * time.Millisecond,
	}
}

func (r *replica) count(t *testing.T, n int, e mesh.Entry) {
	t.Helper()
	for range n {
		if err := r.table.Consume(t.Context(), &mesh.Batch{Entries: []mesh.Entry{e}}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEdgesOfTwoReplicas(t *testing.T) {
	replicas(t, 2, func(list []*replica) {
		a, b := list[0], list[1]
		// The client's proxy streams to one replica, the server's to the other.
		a.count(t, 8, entry("client", "server", 200, mesh.ReporterSource))
		a.count(t, 2, entry("client", "server", 403, mesh.ReporterSource))
		b.count(t, 8, entry("client", "server", 200, mesh.ReporterDestination))
		denied := entry("client", "server", 403, mesh.ReporterDestination)
		denied.Flags = 1 << 12
		b.count(t, 2, denied)
		b.count(t, 5, entry("outside", "server", 503, mesh.ReporterDestination))
		time.Sleep(red.HistoryStep)
		synctest.Wait()

		for _, r := range list {
			got := ask[fleet.Edges](t, r, "/api/v1/edges?since=1m")
			if len(got.Edges) != 2 || len(got.Replicas) != 2 || got.Replicas[0].Name != a.name || got.Replicas[1].Covers != 5 {
				t.Fatalf("%s: %+v", r.name, got)
			}
			e := got.Edges[0]
			if e.Source != "client" || e.Requests != 10 || e.Rate != 2 || e.Denied != 2 || e.Errors != 0 || e.P50 == 0 ||
				len(e.Reporters) != 2 || len(e.SeenBy) != 2 || e.Buckets != nil {
				t.Errorf("%s: the edge that both ends report: %+v", r.name, e)
			}
			if e := got.Edges[1]; e.Source != "outside" || e.ErrorRatio != 1 || e.ErrorRate != 1 || len(e.SeenBy) != 1 || e.SeenBy[0] != b.name {
				t.Errorf("%s: the edge that one end reports: %+v", r.name, e)
			}
		}
		if got := ask[fleet.Edges](t, a, "/api/v1/edges?from=outside.shop&service=server"); len(got.Edges) != 1 {
			t.Errorf("filtered: %+v", got.Edges)
		}

		s := ask[fleet.Stat](t, a, "/api/v1/stat?by=code,reporter&where=to=server&since=1m")
		if len(s.Rows) != 5 || s.Rows[0].Values[0] != "200" || s.Rows[0].Requests != 8 || s.Rows[0].Values[1] != "destination" {
			t.Errorf("stat: %+v", s.Rows)
		}

		h := ask[fleet.History](t, b, "/api/v1/history?by=edge&since=1m&edge="+ask[fleet.Edges](t, a, "/api/v1/edges").Edges[0].ID)
		if len(h.Series) != 1 || len(h.Times) != 1 || *h.Series[0].Rate[0] != 2 || *h.Series[0].Denied[0] != 0.4 || h.Series[0].P95[0] == nil {
			t.Errorf("history: %+v", h)
		}

		// One that does not answer makes the view poorer and is named.
		b.broken = true
		got := ask[fleet.Edges](t, a, "/api/v1/edges")
		if len(got.Edges) != 1 || len(got.Replicas) != 2 || got.Replicas[0].Error == "" {
			t.Errorf("with a replica that hangs: %+v", got)
		}
	})
}

// TestQuotasOfTwoReplicas: each counts for itself and is named.
func TestQuotasOfTwoReplicas(t *testing.T) {
	replicas(t, 2, func(list []*replica) {
		a, b := list[0], list[1]
		for i, r := range list {
			q := mesh.Quota{Name: "per-user", Key: "alice", Limit: 10, Per: time.Hour, Cost: uint64(3 + i)}
			q.Identify(nil)
			r.quotas.Charge(t.Context(), []mesh.Quota{q}, make([]mesh.QuotaResult, 1), mesh.ChargeAll)
		}
		for _, r := range list {
			got := ask[fleet.Each[[]quota.View]](t, r, "/api/v1/quotas")
			if len(got.Answers) != 2 || got.Answers[1].Replica != b.name || got.Answers[1].Answer[0].Name != "per-user" || len(got.Replicas) != 2 {
				t.Errorf("%s: %+v", r.name, got)
			}
			keys := ask[fleet.Each[[]quota.KeyView]](t, r, "/api/v1/quotas/top?n=5&by=used").Answers
			if len(keys) != 2 || keys[0].Answer[0].Remaining != 7 || keys[1].Answer[0].Remaining != 6 {
				t.Errorf("%s: top: %+v", r.name, keys)
			}
		}
		if got := ask[fleet.Each[[]string]](t, a, "/api/v1/quotas/explain?quota=per-user&key=alice&replicas=own"); len(got.Answers) != 1 || got.Answers[0].Replica != a.name {
			t.Errorf("one for itself: %+v", got)
		}

		// A reset is of the replica that is asked.
		w := httptest.NewRecorder()
		a.mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v1/quotas/reset?quota=per-user&key=alice", nil))
		if want := `"answers":[{"replica":"` + a.name + `","answer":1}]`; w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("reset: %d %s; want %s", w.Code, w.Body, want)
		}
		b.broken = true
		keys := ask[fleet.Each[[]quota.KeyView]](t, a, "/api/v1/quotas/key?quota=per-user&key=alice")
		if len(keys.Answers) != 1 || len(keys.Answers[0].Answer) != 0 || len(keys.Replicas) != 2 || keys.Replicas[0].Error == "" {
			t.Errorf("after a reset, with a replica that hangs: %+v", keys)
		}
	})
}

func TestHistoryOverAnHour(t *testing.T) {
	replicas(t, 2, func(list []*replica) {
		time.Sleep(time.Second) // between two steps
		for range 70 {
			for _, r := range list {
				r.count(t, 6, entry("client", "server", 200, mesh.ReporterSource))
			}
			time.Sleep(red.HistoryCoarse)
		}
		synctest.Wait()
		h := ask[fleet.History](t, list[0], "/api/v1/history?by=from")
		if len(h.Times) < 59 || len(h.Times) > 61 || h.Step != 60 || len(h.Series) != 1 {
			t.Fatalf("%d times of %v s, %d series", len(h.Times), h.Step, len(h.Series))
		}
		for i, v := range h.Series[0].Rate[1 : len(h.Times)-1] {
			if v == nil || *v != 0.2 {
				t.Errorf("minute %d: want 0.2 requests per second over both", i+1)
			}
		}
	})
}

func TestBadQueries(t *testing.T) {
	replicas(t, 1, func(list []*replica) {
		f := func(path, want string) {
			t.Helper()
			code, body := list[0].ask(path)
			if code != 400 || !strings.Contains(body, want) {
				t.Errorf("%s: %d %s; want 400 with %q", path, code, body, want)
			}
		}
		f("/api/v1/edges?since=soon", "since=soon")
		f("/api/v1/edges?since=2h", "from 1s to 1h")
		f("/api/v1/stat?by=colour", "there is no such label; there are reporter")
		f("/api/v1/stat?by=code&where=code", "want label=value")
		f("/api/v1/stat?where="+url.QueryEscape("colour!=red"), "no such label")
		f("/api/v1/history?points=1000", "points=1000")
		f("/api/v1/quotas/top?n=0&by=used", "n=0: want a number from 1 to 10000")
		f("/api/v1/quotas/top?n=5&by=name", "none of used, charges, over")
		f("/api/v1/quotas/key?key=alice", "quota: want the name of one")
	})
}
