package ratelimit

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// figures are the hits of one limit.
type figures struct {
	within, near, over, shadow, quota, unlimited, refunded atomic.Uint64
}

// books are the figures of all limits, of as many as may have their own. They
// implement [prometheus.Collector].
type books struct {
	mu    sync.Mutex
	all   atomic.Pointer[map[string]*figures] // copied on write
	most  atomic.Int64
	other figures
}

const otherLimits = "other"

func newBooks() *books {
	b := &books{}
	b.all.Store(&map[string]*figures{})
	return b
}

// of returns the figures of a name, which may be lent.
func (b *books) of(name string) *figures {
	all := *b.all.Load()
	if f, ok := all[name]; ok {
		return f
	}
	if int64(len(all)) >= b.most.Load() || name == otherLimits {
		return &b.other
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all = *b.all.Load()
	if f, ok := all[name]; ok {
		return f
	}
	if int64(len(all)) >= b.most.Load() {
		return &b.other
	}
	all = maps.Clone(all)
	f := new(figures)
	all[strings.ToValidUTF8(strings.Clone(name), "\uFFFD")] = f
	b.all.Store(&all)
	return f
}

var (
	hitsDesc = prometheus.NewDesc(MetricHits,
		"Hits of a limit by what became of them: within, over_limit (refused), shadow_mode and quota_mode (would have been), unlimited, refunded.",
		[]string{LabelLimit, LabelResult}, nil)
	nearDesc = prometheus.NewDesc(MetricNearLimit,
		"Hits within a limit that were above near_limit_ratio of it.", []string{LabelLimit}, nil)
)

// Describe implements [prometheus.Collector].
func (b *books) Describe(ch chan<- *prometheus.Desc) { ch <- hitsDesc; ch <- nearDesc }

// Collect implements [prometheus.Collector].
func (b *books) Collect(ch chan<- prometheus.Metric) {
	for name, f := range *b.all.Load() {
		f.collect(name, ch)
	}
	b.other.collect(otherLimits, ch)
}

func (f *figures) collect(name string, ch chan<- prometheus.Metric) {
	send := func(result string, n *atomic.Uint64, always bool) {
		if v := n.Load(); v > 0 || always {
			ch <- prometheus.MustNewConstMetric(hitsDesc, prometheus.CounterValue, float64(v), name, result)
		}
	}
	send("within", &f.within, true)
	send("over_limit", &f.over, true)
	send("shadow_mode", &f.shadow, false)
	send("quota_mode", &f.quota, false)
	send("unlimited", &f.unlimited, false)
	send("refunded", &f.refunded, false)
	ch <- prometheus.MustNewConstMetric(nearDesc, prometheus.CounterValue, float64(f.near.Load()), name)
}
