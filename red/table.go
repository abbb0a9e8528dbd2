package red

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// Table counts entries into series. It is a [mesh.Sink]; all methods may be
// called at once.
type Table struct {
	// mu is read-locked while a batch is counted or a snapshot is taken, and
	// locked to exchange the views.
	mu      sync.RWMutex
	cfg     Config
	labels  []mesh.CustomLabel
	views   []*view
	byGroup [numGroups][]*view
	retired Stats // of views that a reload ended

	reveal       atomic.Bool
	reconfigured chan struct{} // wakes Run
	// uncounted are the entries of groups without a view.
	uncounted atomic.Uint64
}

// New returns an empty table. labels are the custom labels, in the order of the
// values in mesh.Entry.Custom.
func New(cfg Config, labels []mesh.CustomLabel) (*Table, error) {
	t := &Table{reconfigured: make(chan struct{}, 1)}
	if err := t.apply(cfg, labels); err != nil {
		return nil, err
	}
	return t, nil
}

// Consume counts every entry of b. It never fails and never waits for anything
// but other counting.
func (t *Table) Consume(_ context.Context, b *mesh.Batch) error {
	now := time.Now().UnixNano()
	t.mu.RLock()
	defer t.mu.RUnlock()
	var k key
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.Protocol == mesh.ProtocolTCP {
			t.observe(&k, e, now, groupTCP, 1)
			continue
		}
		t.observe(&k, e, now, groupHTTP, 1)
		if e.HasMessages {
			t.observe(&k, e, now, groupMessages, 0)
		}
		if e.Reporter == mesh.ReporterSource || e.Reporter == mesh.ReporterDestination {
			for _, v := range t.byGroup[groupSpans] {
				v.keyer.ofSpan(&k, e)
				v.observe(&k, e, now, 0)
			}
		}
	}
	return nil
}

// observe counts e in the views of g; books is 1 for the group that keeps the
// books for e.
func (t *Table) observe(k *key, e *mesh.Entry, now int64, g group, books uint64) {
	views := t.byGroup[g]
	if len(views) == 0 {
		t.uncounted.Add(books)
		return
	}
	synthesize := t.cfg.SynthesizeSourceReporter && e.Reporter == mesh.ReporterDestination
	for _, v := range views {
		v.keyer.of(k, e)
		v.observe(k, e, now, books)
		books = 0
		if synthesize {
			security := e.Security
			e.Reporter, e.Security = mesh.ReporterSource, mesh.SecurityUnknown
			v.keyer.of(k, e)
			v.observe(k, e, now, 0)
			e.Reporter, e.Security = mesh.ReporterDestination, security
		}
	}
}

// Reveal shows every series at its value from now on, new ones too: for the
// last scrape before an exit.
func (t *Table) Reveal() { t.reveal.Store(true) }
