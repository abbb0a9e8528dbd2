package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// pairRate is in checks per second, for each of a pair.
const pairRate = 500

const pairedText = "Beside it a bare gRPC server that only decodes is asked by the same client at the same moments, 500 checks/s each: what it takes longer is what a busy machine of so few cores takes to give any process its turn."

// pair asks a server under measurement, and a server that does nothing else in a
// process of its own: what happens to both is the machine's doing.
type pair struct {
	ours, bare latencies
	reference  *server
}

// latencies are the p99 of each round, while nothing else goes on and while
// something does.
type latencies struct {
	*asker
	quiet, during []time.Duration
}

func (l latencies) idle() string { return seconds(median(l.quiet).Seconds()) }
func (l latencies) busy() string { return seconds(median(l.during).Seconds()) }

func newPair(ctx context.Context, s *server) (*pair, error) {
	ours, err := newVerifiedAsker(ctx, s)
	if err != nil {
		return nil, err
	}
	reference, err := startReference(checkDecode)
	if err != nil {
		ours.close()
		return nil, err
	}
	bare, err := newVerifiedAsker(ctx, reference)
	if err != nil {
		ours.close()
		return nil, errors.Join(err, reference.stop())
	}
	return &pair{ours: latencies{asker: ours}, bare: latencies{asker: bare}, reference: reference}, nil
}

func (p *pair) close() error {
	p.ours.close()
	p.bare.close()
	return p.reference.stop()
}

// quiet asks both for d.
func (p *pair) quiet(ctx context.Context, d time.Duration) error {
	ours, bare, err := p.open(ctx, d)
	if err != nil {
		return err
	}
	p.ours.quiet = append(p.ours.quiet, p99Of(ours))
	p.bare.quiet = append(p.bare.quiet, p99Of(bare))
	return nil
}

// during asks both for as long as fn takes.
func (p *pair) during(ctx context.Context, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	var ours, bare []time.Duration
	for {
		a, b, err := p.open(ctx, 250*time.Millisecond)
		if err != nil {
			return errors.Join(err, <-done)
		}
		ours, bare = append(ours, a...), append(bare, b...)
		select {
		case err := <-done:
			p.ours.during = append(p.ours.during, p99Of(ours))
			p.bare.during = append(p.bare.during, p99Of(bare))
			return err
		default:
		}
	}
}

func (p *pair) open(ctx context.Context, d time.Duration) (ours, bare []time.Duration, err error) {
	done := make(chan error, 1)
	go func() {
		var err error
		bare, err = p.bare.open(ctx, pairRate, d)
		done <- err
	}()
	ours, err = p.ours.open(ctx, pairRate, d)
	return ours, bare, errors.Join(err, <-done)
}

// targets hold what ours takes while something goes on to what it takes when
// nothing does, and to what bare takes beside the same.
func (p *pair) targets(r *report, while string) {
	busy := float64(median(p.ours.during))
	r.target("p99 of a check "+while+", to that with nothing else to do", busy/float64(median(p.ours.quiet)), atMost, 2, "%.2f")
	r.target("p99 of a check "+while+", to bare gRPC beside the same", busy/float64(median(p.bare.during)), atMost, 2, "%.2f")
}

// String is about the last round.
func (p *pair) String() string {
	last := func(l latencies) string {
		return fmt.Sprintf("%s, then %s", l.quiet[len(l.quiet)-1], l.during[len(l.during)-1])
	}
	return fmt.Sprintf("%s; of bare gRPC %s", last(p.ours), last(p.bare))
}

// p99Of gives a percentile of latencies in any order.
func p99Of(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100]
}
