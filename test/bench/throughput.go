package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
)

// driven is a server with a fleet connected to it.
type driven struct {
	*server
	fleet *envoysim.Fleet
	sent  envoysim.Sent // in all
}

// drive connects a fleet and sends one round of all messages, after which every
// label set is there.
func drive(ctx context.Context, s *server, t *envoysim.Traffic) (*driven, error) {
	f, err := envoysim.Dial(ctx, s.target, t)
	if err != nil {
		return nil, err
	}
	d := &driven{server: s, fleet: f}
	d.sent.Messages = int64(t.Profile.Streams) // the identifiers
	_, err = d.run(ctx, t.Round(), 0)
	return d, err
}

// used is what a run took.
type used struct {
	entries int64
	cpu     time.Duration
	wall    time.Duration
	late    time.Duration
}

func (u used) perCoreSecond() float64 { return float64(u.entries) / u.cpu.Seconds() }

// run sends entries and returns when the server is done with them.
func (d *driven) run(ctx context.Context, entries int64, rate float64) (used, error) {
	before, err := d.cpu()
	if err != nil {
		return used{}, err
	}
	began := time.Now()
	sent, err := d.fleet.Send(ctx, entries, rate)
	d.sent.Entries += sent.Entries
	d.sent.Messages += sent.Messages
	if err != nil {
		return used{}, err
	}
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := envoysim.WaitCounter(wait, d.status, d.messages, float64(d.sent.Messages)); err != nil {
		return used{}, err
	}
	wall := time.Since(began)
	after, err := d.cpu()
	return used{sent.Entries, after - before, wall, sent.Late}, err
}

// verify compares what was sent over all runs with what is exposed.
func (d *driven) verify(ctx context.Context) error {
	if d.metrics == "" {
		return nil
	}
	for _, metric := range []string{"tallygate_red_entries_counted_total", "istio_requests_total"} {
		got, err := envoysim.ReadCounter(ctx, d.metrics, metric)
		if err != nil {
			return err
		}
		if int64(got) != d.sent.Entries {
			return fmt.Errorf("%s is %.0f after %d entries were sent", metric, got, d.sent.Entries)
		}
	}
	return nil
}

func (d *driven) close() error { return errors.Join(d.fleet.Close(), d.stop()) }

// contestant is one line of the table of throughput.
type contestant struct {
	name    string
	entries int64 // per run
	start   func(context.Context) (*server, error)
	tuples  int
	check   func(context.Context, *driven) error // of the server after all runs; nil for none
	runs    []used
}

func (c *contestant) median() float64 {
	var v []float64
	for _, r := range c.runs {
		v = append(v, r.perCoreSecond())
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// throughput runs all contestants in turns.
func throughput(ctx context.Context, cs []*contestant, rounds int) (err error) {
	driven := make([]*driven, len(cs))
	defer func() {
		for _, d := range driven {
			if d != nil {
				err = errors.Join(err, d.close())
			}
		}
	}()
	traffic := map[int]*envoysim.Traffic{}
	for i, c := range cs {
		if traffic[c.tuples] == nil {
			p := envoysim.DefaultProfile()
			p.Tuples = c.tuples
			if traffic[c.tuples], err = envoysim.NewTraffic(p); err != nil {
				return err
			}
		}
		s, err := c.start(ctx)
		if err != nil {
			return err
		}
		if driven[i], err = drive(ctx, s, traffic[c.tuples]); err != nil {
			return fmt.Errorf("%s: %w", c.name, errors.Join(err, s.stop()))
		}
	}
	for round := range rounds {
		for i, c := range cs {
			u, err := driven[i].run(ctx, c.entries, 0)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.runs = append(c.runs, u)
			progress("round %d  %-28s %9.0f entries per core-second, %8.0f/s", round+1, c.name, u.perCoreSecond(), float64(u.entries)/u.wall.Seconds())
		}
	}
	for i, c := range cs {
		err := driven[i].verify(ctx)
		if err == nil && c.check != nil {
			err = c.check(ctx, driven[i])
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// measureThroughput compares entries per core-second with the references.
func measureThroughput(ctx context.Context, o options, r *report) error {
	rounds, share := 5, int64(1)
	if o.quick {
		rounds, share = 3, 4
	}
	ref := func(name string) func(context.Context) (*server, error) {
		return func(context.Context) (*server, error) { return startReference(name) }
	}
	tally := func(ctx context.Context) (*server, error) { return startTallygate(ctx, o.binary) }
	cs := []*contestant{
		{name: "receive and discard", entries: 3_000_000 / share, start: ref(discard), tuples: 100},
		{name: "bare wire walk", entries: 2_000_000 / share, start: ref(walk), tuples: 100},
		{name: "generated protobuf code", entries: 200_000 / share, start: ref(generated), tuples: 100},
		{name: "Tallygate, 100 tuples", entries: 1_500_000 / share, start: tally, tuples: 100},
		{name: "Tallygate, 10,000 tuples", entries: 1_000_000 / share, start: tally, tuples: 10_000},
	}
	if err := throughput(ctx, cs, rounds); err != nil {
		return err
	}
	base := cs[0].median()
	r.section("Throughput",
		"Entries per core-second of the server's process, medians of interleaved runs, over gRPC on loopback: 8 streams, messages of 50 entries of about 1.1 KB with 10 request headers, SPIFFE TLS properties and custom tags.")
	t := r.table("server", "entries per core-second", "to receive and discard", "entries/s (both ends on this machine)")
	for _, c := range cs {
		var wall []time.Duration
		for _, u := range c.runs {
			wall = append(wall, time.Duration(float64(u.wall)/float64(u.entries)*1e6)) // of a million entries
		}
		t.row(c.name, thousands(c.median()), fmt.Sprintf("%.2f", c.median()/base), thousands(1e6/median(wall).Seconds()))
	}
	r.target("Tallygate to receive and discard, 100 tuples", cs[3].median()/base, atLeast, 0.35, "%.2f")
	r.target("Tallygate to receive and discard, 10,000 tuples", cs[4].median()/base, atLeast, 0.2, "%.2f")
	return nil
}
