package tap

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
)

// Tap keeps the last failures and feeds who watches. It is a [mesh.Sink]; all
// methods may be called at once.
type Tap struct {
	cfg    atomic.Pointer[Config]
	masked atomic.Pointer[map[string]bool] // query parameters, lower case
	lastID atomic.Uint64
	m      *metrics

	// watchers is nil while nobody watches: that is all an entry is asked then.
	watchers atomic.Pointer[[]*Watcher]
	mu       sync.Mutex // of changes to watchers

	failures failures
	details  sync.Pool // of *mesh.Detail
}

// New validates cfg.
func New(cfg Config, reg prometheus.Registerer) (*Tap, error) {
	t := &Tap{m: newMetrics(reg)}
	t.details.New = func() any { return new(mesh.Detail) }
	t.failures.edges = map[edge]*ring{}
	return t, t.Reconfigure(cfg)
}

// Reconfigure changes everything that cfg says, or nothing and says why.
func (t *Tap) Reconfigure(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("tap: %w", err)
	}
	masked := map[string]bool{}
	for _, name := range cfg.MaskQuery {
		masked[strings.ToLower(name)] = true
	}
	t.masked.Store(&masked)
	t.cfg.Store(&cfg)
	return nil
}

// Consume implements [mesh.Sink]. It never fails and never waits.
func (t *Tap) Consume(_ context.Context, b *mesh.Batch) error {
	for i := range b.Entries {
		if e := &b.Entries[i]; e.Flags&deniedFlags != 0 || e.IsError() {
			t.failed(b, e)
		}
	}
	if watchers := t.watchers.Load(); watchers != nil {
		for _, w := range *watchers {
			t.feed(w, b)
		}
	}
	return nil
}

// failed keeps e if it is one of the few of its edge this second.
func (t *Tap) failed(b *mesh.Batch, e *mesh.Entry) {
	cfg := t.cfg.Load()
	if cfg.ErrorsPerEdge == 0 {
		return
	}
	// The time of the message will do, and costs nothing.
	r := t.failures.admit(cfg, e, b.Received)
	if r == nil {
		return
	}
	d := t.details.Get().(*mesh.Detail)
	r.add(t.show(b, e, d), cfg.ErrorsPerEdge)
	*d = mesh.Detail{} // what it had was lent
	t.details.Put(d)
	t.m.kept.Inc()
}

// feed gives w what its filter passes.
func (t *Tap) feed(w *Watcher, b *mesh.Batch) {
	var d *mesh.Detail
	var shown, missed uint64
	rate := t.cfg.Load().MaxRate
	for i := range b.Entries {
		e := &b.Entries[i]
		if !w.filter.quick(e) {
			continue
		}
		if d == nil {
			d = t.details.Get().(*mesh.Detail)
		}
		if w.filter.path != "" && (b.Details == nil || !b.Details.ReadDetail(e, d) || !w.filter.pathMatches(d.Path)) {
			continue
		}
		if !w.budget(b.Received, rate) {
			missed++
			continue
		}
		select {
		case w.entries <- t.show(b, e, d):
			shown++
		default:
			missed++
		}
	}
	if d == nil {
		return
	}
	*d = mesh.Detail{} // what it had was lent
	t.details.Put(d)
	if missed > 0 {
		w.missed.Add(missed)
		t.m.missed.Add(float64(missed))
	}
	if shown > 0 {
		t.m.shown.Add(float64(shown))
	}
}

// Watcher is one who watches.
type Watcher struct {
	filter  Filter
	entries chan *Entry
	missed  atomic.Uint64
	second  atomic.Int64
	left    atomic.Int64
}

// queue is how many entries wait for one who watches.
const queue = 256

// budget takes one of the entries of this second.
func (w *Watcher) budget(now time.Time, rate int) bool {
	if s := now.Unix(); s != w.second.Load() {
		w.second.Store(s)
		w.left.Store(int64(rate))
	}
	return w.left.Load() > 0 && w.left.Add(-1) >= 0
}

// Entries are what the filter passes.
func (w *Watcher) Entries() <-chan *Entry { return w.entries }

// Missed returns how many entries passed the filter and were not given.
func (w *Watcher) Missed() uint64 { return w.missed.Load() }

// Watch gives the entries that pass f from now on, until stop is called.
func (t *Tap) Watch(f Filter) (w *Watcher, stop func()) {
	w = &Watcher{filter: f, entries: make(chan *Entry, queue)}
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []*Watcher
	if old := t.watchers.Load(); old != nil {
		list = append(list, *old...)
	}
	list = append(list, w)
	t.watchers.Store(&list)
	t.m.watchers.Set(float64(len(list)))
	return w, sync.OnceFunc(func() { t.leave(w) })
}

func (t *Tap) leave(w *Watcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []*Watcher
	for _, o := range *t.watchers.Load() {
		if o != w {
			list = append(list, o)
		}
	}
	t.m.watchers.Set(float64(len(list)))
	if len(list) == 0 {
		t.watchers.Store(nil)
		return
	}
	t.watchers.Store(&list)
}
