package opa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Loader keeps the newest good generation of Config's sources in use.
type Loader struct {
	cfg     Config
	publish func(*Generation)
	log     *slog.Logger
	m       *metrics
	bundles *bundles // nil without OPAConfig

	load  sync.Mutex // one load at a time
	files *Sources   // as read last; nil if that failed
	state uint64     // stamp of the files at that time
	sum   string     // digest of them
	built *Sources   // of bundles, as compiled last with success

	mu      sync.Mutex
	active  Active
	errFrom string // where active.Err is from
}

// Active says what is in use.
type Active struct {
	Generation *Generation // nil before the first
	// Err is why the latest change was refused, nil if it is in use.
	Err error
	// At is when Err or Generation came to be.
	At time.Time
	// Waiting is true while a configured bundle has not arrived.
	Waiting bool
}

// NewLoader returns a Loader that hands each new generation to publish, from
// one goroutine at a time. cfg must be valid.
func NewLoader(cfg Config, publish func(*Generation), reg prometheus.Registerer, log *slog.Logger) (*Loader, error) {
	l := &Loader{cfg: cfg, publish: publish, log: log, m: newMetrics(reg)}
	if cfg.OPAConfig != "" {
		b, err := newBundles(cfg, log)
		if err != nil {
			return nil, fmt.Errorf("opa_config: %w", err)
		}
		l.bundles = b
	}
	l.active.Waiting = l.bundles.waiting()
	return l, nil
}

// Active returns what is in use.
func (l *Loader) Active() Active {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.active
}

// Load reads the files now and puts them into use; the error says why it could
// not. With bundles, that waits for them: it is no error.
func (l *Loader) Load(ctx context.Context) error {
	l.load.Lock()
	defer l.load.Unlock()
	l.state = stamp(l.cfg.Paths)
	defer spare()()
	var src *Sources
	var err error
	if len(l.cfg.Paths) > 0 {
		src, err = newReader(l.pace(ctx)).read(l.cfg.Paths)
	}
	return l.take(ctx, src, err)
}

// take puts files into use that were read, or not for the reason err. l.load is
// held.
func (l *Loader) take(ctx context.Context, src *Sources, err error) error {
	l.files, l.sum = src, ""
	if err != nil {
		l.refuse(fromFiles, err)
		return err
	}
	if src != nil {
		l.sum = src.digest
	}
	return l.reload(ctx, fromFiles)
}

// Run watches the sources until ctx ends. It loads them first, unless Load did.
func (l *Loader) Run(ctx context.Context) error {
	if l.bundles != nil {
		stop, err := l.bundles.start(ctx)
		if err != nil {
			return fmt.Errorf("starting OPA's plugins: %w", err)
		}
		defer stop()
	}
	if a := l.Active(); a.Generation == nil && a.Err == nil && !a.Waiting {
		_ = l.Load(ctx) // is in Active, counted and logged
	}
	var poll <-chan time.Time
	if len(l.cfg.Paths) > 0 {
		t := time.NewTicker(l.cfg.PollInterval)
		defer t.Stop()
		poll = t.C
	}
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-poll:
			l.poll(ctx, n%rereadEvery == 0)
		case <-l.bundles.changed():
			l.activate(ctx)
		}
	}
}

// activate takes up what the bundles have become.
func (l *Loader) activate(ctx context.Context) {
	l.load.Lock()
	defer l.load.Unlock()
	defer spare()()
	src, err := l.bundles.latest()
	switch {
	case err != nil:
		l.refuse(fromBundles, err)
	case src == l.built:
		l.recovered()
	default:
		_ = l.reload(ctx, fromBundles)
	}
}

// recovered takes back a failure of bundles that has passed.
func (l *Loader) recovered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active.Err != nil && l.errFrom == fromBundles {
		l.active.Err, l.active.At = nil, time.Now()
		l.m.success.Set(1)
		l.log.Info("bundles can be loaded again; the policies in use are the latest")
	}
}

// rereadEvery is after how many polls the files are read although nothing about
// them seems to have changed: not all file systems keep the time exactly.
const rereadEvery = 30

func (l *Loader) poll(ctx context.Context, reread bool) {
	l.load.Lock()
	defer l.load.Unlock()
	now := stamp(l.cfg.Paths)
	if now == l.state && !reread {
		return
	}
	l.state = now
	if sum, err := digestOf(l.cfg.Paths, l.pace(ctx)); err == nil && sum == l.sum {
		return
	}
	defer spare()()
	src, err := newReader(l.pace(ctx)).read(l.cfg.Paths)
	if err != nil && l.files == nil && l.failedAlike(err) {
		return
	}
	_ = l.take(ctx, src, err)
}

// pace lets work rest once there are policies in use.
func (l *Loader) pace(ctx context.Context) *pacer {
	if l.Active().Generation == nil {
		return nil
	}
	return newPacer(ctx)
}

// failedAlike reports whether err was reported already.
func (l *Loader) failedAlike(err error) bool {
	last := l.Active().Err
	return last != nil && last.Error() == err.Error()
}

// reload compiles what there is and puts it into use. l.load is held.
func (l *Loader) reload(ctx context.Context, from string) error {
	begin := time.Now()
	g, err := l.compile(ctx)
	switch {
	case errors.Is(err, errWaiting):
		return nil
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		l.refuse(from, err)
		return err
	}
	l.m.compiling.Observe(time.Since(begin).Seconds())
	l.m.activations.Inc()
	l.m.success.Set(1)
	l.m.loaded.Set(float64(g.Loaded.UnixNano()) / 1e9)
	l.mu.Lock()
	l.active = Active{Generation: g, At: g.Loaded}
	l.mu.Unlock()
	l.publish(g)
	l.log.Info("policies in use", "generation", g.ID, "revision", g.Revision, "modules", len(g.compiler.Modules))
	for _, u := range g.unpacked {
		l.log.Info("large data is read as a whole, which takes time and memory at each load", "data", u.path, "bytes", u.bytes, "by", u.by)
	}
	for _, name := range g.Entrypoints() {
		if s := g.entries[name].shape; len(s.Reasons) > 0 {
			l.log.Info("decisions are not cached, or only with a stated TTL", "entrypoint", g.entries[name].rule,
				"cacheable", s.Cacheable, "needs_ttl", s.NeedsTTL, "because", s.Reasons[0].String())
		}
	}
	return nil
}

// errWaiting means that a bundle has not arrived yet.
var errWaiting = errors.New("waiting for bundles")

func (l *Loader) compile(ctx context.Context) (*Generation, error) {
	if l.bundles == nil {
		g, err := CompileSources(ctx, &l.cfg, l.files)
		l.files = &Sources{digest: l.sum} // the rest is in the generation
		return g, err
	}
	bundled, _ := l.bundles.latest()
	if bundled == nil {
		return nil, errWaiting
	}
	src, err := bundled.with(l.files)
	if err != nil {
		return nil, err
	}
	g, err := CompileSources(ctx, &l.cfg, src)
	if err == nil {
		l.built = bundled
	}
	return g, err
}

func (l *Loader) refuse(from string, err error) {
	l.m.refusals.WithLabelValues(from).Inc()
	l.m.success.Set(0)
	l.mu.Lock()
	l.active.Err, l.active.At, l.errFrom = err, time.Now(), from
	inUse := l.active.Generation
	l.mu.Unlock()
	args := []any{"source", from, "error", err}
	if inUse != nil {
		args = append(args, "in_use", inUse.Revision)
	}
	l.log.Error("policies refused", args...)
}
