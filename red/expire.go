package red

import (
	"context"
	"time"
)

// Run removes series that got no entry for Config.Expiry, until ctx ends.
func (t *Table) Run(ctx context.Context) error {
	for {
		t.mu.RLock()
		every := min(max(t.cfg.Expiry/20, 100*time.Millisecond), 15*time.Second)
		t.mu.RUnlock()
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-t.reconfigured:
			timer.Stop()
		case <-timer.C:
			t.sweep(time.Now())
		}
	}
}

// sweep removes the series that got no entry since now less the expiry.
func (t *Table) sweep(now time.Time) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	before := now.Add(-t.cfg.Expiry).UnixNano()
	for _, v := range t.views {
		v.sweep(before)
	}
}

func (v *view) sweep(before int64) {
	var dead []*series
	for i := range v.shards {
		sh := &v.shards[i]
		sh.mu.Lock()
		// From the end: remove fills the gap from there.
		for j := len(sh.list) - 1; j >= 0; j-- {
			if s := sh.list[j]; s.seen < before {
				sh.remove(s)
				dead = append(dead, s)
			}
		}
		// There may be room again, and what they hold shall be collected.
		clear(sh.aliases)
		sh.mu.Unlock()
	}
	v.keyer.forget()
	if len(dead) == 0 {
		return
	}
	a := &v.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range dead {
		a.expired++
		if s.overflow {
			continue
		}
		a.series--
		for i, l := range v.schema.labels {
			value := labelValue(&s.key, l)
			if a.values[i][value]--; a.values[i][value] == 0 {
				delete(a.values[i], value)
			}
		}
	}
}
