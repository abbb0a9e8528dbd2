package main

import (
	"bytes"
	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/fleet"
	"slices"
	"testing"
	"time"

	"github.com/tallygate/tallygate/ingest/als"
)

func TestReplicas(t *testing.T) {
	f := func(server string, want ...string) {
		t.Helper()
		if got := admin.Replicas(t.Context(), server); !slices.Equal(got, want) {
			t.Errorf("replicas(%q) = %q; want %q", server, got, want)
		}
	}
	f("127.0.0.1:8282", "")
	f("[::1]:8282", "")
	f("localhost:8282", "")
	f("unix:///run/admin.sock", "")
	f("https://10.0.0.1:8282", "")
	f("tallygate.invalid:8282", "") // does not resolve: asking it says so
	f("no-port", "")
}

func TestPrintReports(t *testing.T) {
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	trace := als.Missing{What: "trace id", Why: "No exemplars.", Share: 0.5, YAML: "a: b\nc: d\n"}
	more := trace
	more.Share = 1
	reports := []fleet.Proxies{
		{Instance: "one:9464", Proxies: []fleet.Proxy{
			{Connection: als.Connection{Node: "sidecar~1", Role: "sidecar", Workload: "web", Namespace: "shop", Remote: "10.0.0.1", Streams: 2, Entries: 70, LastMessage: now.Add(-90 * time.Second), Missing: []als.Missing{trace}}},
			{Connection: als.Connection{Node: "sidecar~2", Role: "sidecar", Workload: "db", LastMessage: now, Missing: []als.Missing{more}}},
		}},
		{Instance: "two:9464", Proxies: []fleet.Proxy{{Connection: als.Connection{Node: "liar", Mismatch: true, LastMessage: time.Unix(0, 0)}}}},
	}
	var b bytes.Buffer
	printReports(&b, reports, now)
	const want = `INSTANCE  NODE       ROLE     WORKLOAD  ADDRESS   STREAMS  ENTRIES  LAST       STATUS
one:9464  sidecar~1  sidecar  web.shop  10.0.0.1  2        70       1m30s ago  1 missing
one:9464  sidecar~2  sidecar  db        -         0        0        now        1 missing
two:9464  liar       -        -         -         0        0        never      identity mismatch

IDENTITY MISMATCH at liar
  The node identifier claims another workload than the client certificate. Its claims are not believed.

MISSING trace id in up to 100 % of the entries of sidecar~1, sidecar~2
  No exemplars.
  Add:
    a: b
    c: d
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if healthy(reports) || healthy(nil) {
		t.Error("healthy, although something is missing")
	}
	if !healthy([]fleet.Proxies{{Proxies: []fleet.Proxy{{Connection: als.Connection{Node: "fine"}}}}}) {
		t.Error("not healthy, although nothing is missing")
	}
}
