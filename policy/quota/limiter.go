package quota

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
)

// Options are what a Limiter needs beside its configuration.
type Options struct {
	Metrics prometheus.Registerer
	Log     *slog.Logger
	Now     func() time.Time // nil for the system's clock
}

// Limiter charges quotas. It implements [mesh.Limiter]; all methods may be
// called at once.
type Limiter struct {
	cfg      atomic.Pointer[Config]
	log      *slog.Logger
	register *register
	local    *local
	shared   *shared // nil without Redis
	source   source
	now      func() int64

	snapshotErrors atomic.Uint64
	top            struct {
		sync.Mutex
		at   int64
		list []topOf
	}
}

// New validates cfg and restores what the last run has saved.
func New(cfg Config, opts Options) (*Limiter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("quota: %w", err)
	}
	l := &Limiter{log: opts.Log, register: newRegister(), now: clock(opts.Now)}
	l.local = newLocal(l.register, int64(cfg.Local.MaxSizeMiB)<<20)
	l.source = l.local
	l.cfg.Store(&cfg)
	if cfg.Source == SourceRedis {
		var err error
		if l.shared, err = newShared(&cfg, l.local, l.now, opts.Log); err != nil {
			return nil, fmt.Errorf("quota: %w", err)
		}
		l.source = l.shared
	}
	l.restore()
	opts.Metrics.MustRegister(&collector{l})
	return l, nil
}

// Reconfigure puts to use what of cfg can change while quotas are charged: not the
// source, nor which Redis it is and how old leases grow. A table that is larger
// than it may now be grows no more.
func (l *Limiter) Reconfigure(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("quota: %w", err)
	}
	l.local.bound(int64(cfg.Local.MaxSizeMiB) << 20)
	if l.shared != nil {
		l.shared.reconfigure(&cfg)
	}
	l.cfg.Store(&cfg)
	return nil
}

// clock returns Unix nanoseconds that a stepped clock does not move: what was
// promised over an interval holds for the interval that really passed.
func clock(now func() time.Time) func() int64 {
	if now != nil {
		return func() int64 { return now().UnixNano() }
	}
	began := time.Now()
	base := began.UnixNano()
	return func() int64 { return base + int64(time.Since(began)) }
}

// Run saves the table now and then, and works for Redis, until ctx ends; when
// nobody charges any more. Then it saves once more, and what was taken ahead goes
// back.
func (l *Limiter) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	if l.shared != nil {
		wg.Go(func() { l.shared.run(ctx) })
	}
	every := func() time.Duration { return l.cfg.Load().Local.SnapshotEvery }
	timer := time.NewTimer(every())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			return l.save()
		case <-timer.C:
			if err := l.save(); err != nil {
				l.log.Warn("A restart would forget quotas", "err", err)
			}
			timer.Reset(every())
		}
	}
}

// Charge implements [mesh.Limiter].
func (l *Limiter) Charge(ctx context.Context, quotas []mesh.Quota, results []mesh.QuotaResult, mode mesh.ChargeMode) mesh.QuotaVerdict {
	results = results[:len(quotas)]
	if len(quotas) == 0 {
		return mesh.QuotaVerdict{Strictest: -1}
	}
	taken := l.source.charge(ctx, l.now(), quotas, results, mode)
	for i := range quotas {
		l.register.figures(quotas[i].Name).count(&quotas[i], &results[i], taken || mode == mesh.ChargeEach)
	}
	return verdict(quotas, results)
}

// verdict finds the quota to tell the caller of.
func verdict(quotas []mesh.Quota, results []mesh.QuotaResult) mesh.QuotaVerdict {
	v := mesh.QuotaVerdict{Strictest: -1}
	for i := range quotas {
		r := &results[i]
		if quotas[i].Shadow {
			continue
		}
		v.Over = v.Over || r.Over
		if v.Strictest < 0 || stricter(r, &results[v.Strictest]) {
			v.Strictest = i
		}
	}
	return v
}

func stricter(a, b *mesh.QuotaResult) bool {
	if a.Over != b.Over {
		return a.Over
	}
	if a.Over && a.RetryAfter != b.RetryAfter {
		return a.RetryAfter > b.RetryAfter
	}
	// a.Remaining/a.Limit < b.Remaining/b.Limit; tokens are below 2^40, so in
	// floating point.
	return float64(a.Remaining)*float64(b.Limit) < float64(b.Remaining)*float64(a.Limit)
}
