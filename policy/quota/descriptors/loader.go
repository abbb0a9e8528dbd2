package descriptors

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
)

// Loader keeps the newest good limits in use. It implements [mesh.LimitFinder].
type Loader struct {
	set atomic.Pointer[Set]
	log *slog.Logger
	m   *metrics

	mu    sync.Mutex
	cfg   Config
	stamp uint64 // of what was tried last
}

// NewLoader reads the files for the first time.
func NewLoader(cfg Config, reg prometheus.Registerer, log *slog.Logger) (*Loader, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Loader{cfg: cfg, log: log, stamp: stamp(cfg.Paths)}
	set, err := Load(cfg.Paths, cfg.MergeDomains)
	if err != nil {
		return nil, err
	}
	l.m = newMetrics(reg)
	l.use(set)
	return l, nil
}

func (l *Loader) use(set *Set) {
	l.set.Store(set)
	l.m.success.Set(1)
	l.m.loadedAt.Set(float64(time.Now().UnixNano()) / 1e9)
	l.m.rules.Set(float64(len(set.rules)))
	l.m.domains.Set(float64(len(set.domains)))
	for _, w := range set.warnings {
		l.log.Warn("Rate limits: probably not what is meant", "at", w)
	}
}

// Set returns the limits in use.
func (l *Loader) Set() *Set { return l.set.Load() }

// FindLimits implements [mesh.LimitFinder].
func (l *Loader) FindLimits(ctx context.Context, r *mesh.LimitRequest) error {
	return l.set.Load().FindLimits(ctx, r)
}

// Reconfigure reads what cfg names; on an error everything stays as it is.
func (l *Loader) Reconfigure(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	mark := stamp(cfg.Paths)
	set, err := Load(cfg.Paths, cfg.MergeDomains)
	if err != nil {
		return err
	}
	cfg.Paths = slices.Clone(cfg.Paths)
	l.cfg, l.stamp = cfg, mark
	l.use(set)
	return nil
}

// Run looks for changes of the files until ctx ends.
func (l *Loader) Run(ctx context.Context) error {
	for {
		l.mu.Lock()
		wait := l.cfg.PollInterval
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
			l.poll()
		}
	}
}

// poll loads the files if they have changed. What does not compile is said once;
// the last good limits stay.
func (l *Loader) poll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	mark := stamp(l.cfg.Paths)
	if mark == l.stamp {
		return
	}
	l.stamp = mark
	set, err := Load(l.cfg.Paths, l.cfg.MergeDomains)
	if err != nil {
		l.m.success.Set(0)
		l.m.reloads.WithLabelValues(resultFailure).Inc()
		l.log.Error("Changed rate limits cannot be used; the last good ones stay", "err", err)
		return
	}
	l.m.reloads.WithLabelValues(resultSuccess).Inc()
	l.use(set)
	l.log.Info("Rate limits reloaded", "limits", fmt.Sprint(set))
}
