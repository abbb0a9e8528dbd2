package testbed

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Steady drives a mix of requests, mostly good ones, at the given rate until ctx
// ends, and some TCP connections beside them. It then waits for what is under
// way and returns what was done, so that nothing is cut off in the middle.
func (d *Driver) Steady(ctx context.Context, perSecond int) (Tally, error) {
	mix := steadyMix()
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		tally = Tally{}
		errs  []error
	)
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Hour)
	defer cancel()
	note := func(done Tally, err error) {
		mu.Lock()
		defer mu.Unlock()
		tally.Add(done, 1)
		if err != nil && len(errs) < 10 {
			errs = append(errs, err)
		}
	}
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			wg.Wait()
			return tally, errors.Join(errs...)
		case <-tick.C:
		}
		wg.Go(func() {
			switch {
			case n%100 == 0:
				note(nil, d.EchoPlain(work, 1000))
				return
			case n%20 == 0:
				note(nil, d.Echo(work, 5000))
				return
			}
			done := Tally{}
			err := mix[rand.IntN(len(mix))].Run(work, d, done)
			note(done, err)
		})
	}
}

// Ask asks host for path at the given rate until ctx ends, whatever is answered,
// and waits for what is under way.
func (d *Driver) Ask(ctx context.Context, perSecond int, host, path string) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		wg.Go(func() { _, _ = d.Get(ctx, host, path) })
	}
}

// steadyMix holds a scenario as often as it should come.
func steadyMix() []Scenario {
	weight := map[string]int{"ok": 30, "ok over two hops": 40, "large answer": 5, "gRPC ok over two hops": 30, "gRPC stream": 10}
	var mix []Scenario
	for _, s := range Scenarios() {
		for range max(weight[s.Name], 1) {
			mix = append(mix, s)
		}
	}
	return mix
}
