package main

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/internal/tap"
)

func topOf(edges ...fleet.Edge) *topView {
	now := time.Date(2026, 1, 1, 12, 0, 15, 0, time.Local)
	return &topView{since: "15s", edges: fleet.Edges{
		Replicas: []fleet.Replica{{Name: "one:9464"}}, From: now.Add(-15 * time.Second), To: now, Edges: edges,
	}}
}

func edgeOf(from, to string, rate, errors, p99 float64) fleet.Edge {
	return fleet.Edge{
		ID: from + to, Source: from, Destination: to, ServiceName: to, Protocol: "http", Reporters: []string{"source"},
		Figures: fleet.Figures{Rate: rate, ErrorRate: errors, ErrorRatio: errors / rate, P99: p99},
	}
}

// show draws the view and returns the first word of each edge, in order.
func show(v *topView, height int) (order, screen string) {
	lines := v.lines(100, height, v.edges.To)
	var names []string
	for _, l := range lines[min(4, len(lines)):] {
		if f := strings.Fields(strings.TrimPrefix(l, "> ")); len(f) > 4 && strings.HasPrefix(f[0], "w") {
			names = append(names, f[0])
		}
	}
	return strings.Join(names, " "), strings.Join(lines, "\n")
}

func TestTopKeys(t *testing.T) {
	v := topOf(edgeOf("w1", "x", 30, 0, 5), edgeOf("w2", "y", 20, 4, 90), edgeOf("w3", "z", 10, 5, 40))
	f := func(keys, want string) {
		t.Helper()
		if quit, _ := v.keys([]byte(keys)); quit {
			t.Fatalf("%q quits", keys)
		}
		if got, screen := show(v, 24); got != want {
			t.Errorf("after %q: %q; want %q\n%s", keys, got, want, screen)
		}
	}
	f("", "w1 w2 w3")
	f("e", "w3 w2 w1")
	f("e", "w1 w2 w3")
	f("l", "w2 w3 w1")
	f("n", "w1 w2 w3")
	f("n", "w3 w2 w1")
	f("r", "w1 w2 w3")
	f("/y\r", "w2")
	f("/\x7fW3\r", "w3")
	f("/\x1b", "w1 w2 w3")
	f("/w9\r", "")
	if _, screen := show(v, 24); !strings.Contains(screen, "No edge has w9") {
		t.Errorf("a filter that nothing passes:\n%s", screen)
	}
	f("/\x1b", "w1 w2 w3")

	f("\x1b[B\x1b[Bj\x1b[A", "w1 w2 w3") // down, down, down, up
	if e := v.current(); e == nil || e.Source != "w2" {
		t.Errorf("selected: %+v; want w2", e)
	}
	if _, screen := show(v, 24); !strings.Contains(screen, "> w2") {
		t.Errorf("the selection does not show:\n%s", screen)
	}
	if _, again := v.keys([]byte("\r")); !again || v.open == nil {
		t.Error("enter does not ask for the errors of the edge")
	}
	v.take(topAnswer{edges: v.edges, failed: []fleet.Entry{{Entry: tap.Entry{
		Time: v.edges.To.Add(-3 * time.Second), Outcome: tap.Denied, Code: 403, Method: "GET", Path: "/cart\x1b[2J", Rule: "authz/allow:7", TraceID: "0af7",
	}}}})
	_, screen := show(v, 24)
	for _, want := range []string{"w2 → y", "3s", "403", "authz/allow:7", "0af7", "/cart?[2J"} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q in the errors of the edge:\n%s", want, screen)
		}
	}
	v.keys([]byte("\x1b"))
	if quit, _ := v.keys([]byte("q")); !quit {
		t.Error("q does not quit")
	}
	if quit, _ := v.keys([]byte{3}); !quit {
		t.Error("Ctrl-C does not quit")
	}
	if _, again := v.keys([]byte("+")); !again || v.since != "1m" {
		t.Errorf("+ makes it %s", v.since)
	}
	v.keys([]byte("---"))
	if v.since != "5s" {
		t.Errorf("- makes it %s", v.since)
	}
}

func TestTopFits(t *testing.T) {
	var edges []fleet.Edge
	for i := range 50 {
		edges = append(edges, edgeOf(strings.Repeat("w", 1+i), "x", float64(100-i), 0, 1))
	}
	v := topOf(edges...)
	for range 30 {
		v.keys([]byte("j"))
	}
	for _, size := range [][2]int{{80, 24}, {40, 10}, {200, 60}, {10, 5}} {
		lines := v.lines(size[0], size[1], v.edges.To)
		if len(lines) > max(size[1], 5) {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); n > size[0]+2 {
				t.Errorf("%v: a line of %d: %q", size, n, l)
			}
		}
		if !strings.Contains(strings.Join(lines, "\n"), "> w") && size[1] > 5 {
			t.Errorf("%v: the selected edge is not on the screen", size)
		}
	}
}

func TestTopSaysWhatIsWrong(t *testing.T) {
	v := topOf(edgeOf("w1", "x", 1, 0, 1))
	v.take(topAnswer{err: errors.New("connection refused")})
	v.edges.Replicas = append(v.edges.Replicas, fleet.Replica{Name: "two:9464", Error: "it hangs"})
	order, screen := show(v, 24)
	if order != "w1" || !strings.Contains(screen, "connection refused") || !strings.Contains(screen, "two:9464 did not answer: it hangs") {
		t.Errorf("%s", screen)
	}
}
