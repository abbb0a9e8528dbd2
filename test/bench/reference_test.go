package main

import (
	"bufio"
	"context"
	"io"
	"testing"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
)

// TestReferences drives each reference in this process: all of them see all
// messages, and those that look into the entries see the same.
func TestReferences(t *testing.T) {
	p := envoysim.DefaultProfile()
	p.MinMessages, p.GRPC, p.TCP = 4, 20, 20
	traffic, err := envoysim.NewTraffic(p)
	if err != nil {
		t.Fatal(err)
	}
	var buckets [32]int64
	f := func(name string, looks bool) {
		t.Helper()
		r, err := newReference(name)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		said, out := io.Pipe()
		done := make(chan error)
		go func() { done <- r.run(ctx, out) }()
		line, err := bufio.NewReader(said).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		s := &server{name: name, messages: messagesMetric}
		if err := s.listensAt(line); err != nil {
			t.Fatal(err)
		}
		fleet, err := envoysim.Dial(ctx, s.target, traffic)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := fleet.Send(ctx, traffic.Round(), 0)
		if err != nil {
			t.Fatal(err)
		}
		wait, stop := context.WithTimeout(ctx, 10*time.Second)
		defer stop()
		if got, err := envoysim.WaitCounter(wait, s.status, s.messages, float64(sent.Messages)+8); err != nil || int64(got) != sent.Messages+8 {
			t.Errorf("%s: %.0f messages, %v; want %d", name, got, err, sent.Messages+8)
		}
		if looks && r.entries.Load() != sent.Entries {
			t.Errorf("%s: %d entries; want %d", name, r.entries.Load(), sent.Entries)
		}
		for i := range r.buckets {
			if n := r.buckets[i].Load(); name == walk {
				buckets[i] = n
			} else if looks && n != buckets[i] {
				t.Errorf("%s: %d durations in bucket %d; %s has %d", name, n, i, walk, buckets[i])
			}
		}
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	f(discard, false)
	f(walk, true)
	f(generated, true)
	if _, err := newReference("nothing"); err == nil {
		t.Error("a reference that is not there is made")
	}
	for _, b := range []string{"\x12\x05\x0a", "\x12\x02\x0a\x05", "\xff"} {
		if err := new(reference).walk([]byte(b)); err == nil {
			t.Errorf("%q is walked without an error", b)
		}
	}
}
