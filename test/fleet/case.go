package fleet

import (
	"context"
	"syscall"
	"time"
)

// Case is a fleet and what happens to it.
type Case struct {
	Name     string
	Replicas []float64 // share of each in the demand
	Keys     []float64 // likewise
	Losses   int       // of Redis' state: each may add a burst
	Least    float64   // of the limit must be admitted, beside bursts
	// Disturb is called after a third of the time; nil leaves the fleet alone.
	Disturb func(context.Context, *Fleet) error
}

// Cases are those that are played.
func Cases() []Case {
	even, one := []float64{1. / 3, 1. / 3, 1. / 3}, []float64{1}
	return []Case{
		{Name: "balanced", Replicas: even, Keys: one, Least: 0.95},
		{Name: "one replica gets nearly all", Replicas: []float64{0.9, 0.05, 0.05}, Keys: one, Least: 0.85},
		{Name: "four keys alike", Replicas: even, Keys: []float64{0.25, 0.25, 0.25, 0.25}, Least: 0.95},
		{Name: "four keys, skewed", Replicas: even, Keys: []float64{0.55, 0.25, 0.12, 0.08}, Least: 0.95},
		{Name: "a replica is killed", Replicas: even, Keys: one, Least: 0.7, Disturb: func(_ context.Context, f *Fleet) error {
			f.Replicas[0].leaving.Store(true)
			return f.Replicas[0].Kill()
		}},
		{Name: "a replica drains", Replicas: even, Keys: one, Least: 0.7, Disturb: func(_ context.Context, f *Fleet) error {
			f.Replicas[0].leaving.Store(true)
			return f.Replicas[0].Signal(syscall.SIGTERM)
		}},
		{Name: "redis forgets", Replicas: even, Keys: one, Losses: 1, Least: 0.9, Disturb: func(ctx context.Context, f *Fleet) error {
			for _, command := range []string{"FLUSHALL", "SCRIPT FLUSH"} {
				if _, err := f.Redis.Do(ctx, command); err != nil {
					return err
				}
			}
			return nil
		}},
		{Name: "redis is killed, and started again", Replicas: even, Keys: one, Losses: 1, Least: 0.6, Disturb: func(ctx context.Context, f *Fleet) error {
			return f.Redis.Restart(ctx)
		}},
		{Name: "redis stands still for a second", Replicas: even, Keys: one, Least: 0.4, Disturb: func(ctx context.Context, f *Fleet) error {
			if err := f.Redis.Pause(); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			return f.Redis.Resume()
		}},
	}
}
