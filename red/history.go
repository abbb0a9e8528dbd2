package red

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// HistoryConfig is the configuration of the history of the last hour.
type HistoryConfig struct {
	// Enabled keeps what was counted in the last hour, in steps of 5 seconds for
	// 6 minutes and of a minute beyond: for the console and the command line.
	Enabled bool `mapstructure:"enabled"`
	// MaxSizeMiB bounds the steps that are kept; the oldest go first.
	MaxSizeMiB int `mapstructure:"max_size_mib"`
}

func (c *HistoryConfig) validate() error {
	if c.MaxSizeMiB < 1 {
		return fmt.Errorf("max_size_mib: must be at least 1, is %d", c.MaxSizeMiB)
	}
	return nil
}

// The steps of a [History].
const (
	HistoryStep   = 5 * time.Second
	HistoryCoarse = time.Minute
	historyFine   = 72 // steps: 6 minutes
	historyHour   = 60 // coarse steps
	finePerCoarse = int(HistoryCoarse / HistoryStep)
)

// History keeps what a [Table] counted in the last hour, by label set and step.
// It reads the table's figures once per step and costs an entry nothing: only
// label sets with entries in a step take room in it, some 15 bytes each.
type History struct {
	table *Table

	mu      sync.Mutex
	cfg     HistoryConfig
	seen    map[uint64]*tracked // by Series.ID
	dict    []*identity         // by index; nil is free
	free    []uint32
	fine    []block
	coarse  []block
	bytes   int
	dropped uint64 // steps that made room before their hour was over
	began   time.Time
	rounds  uint64
	blind   bool // was off: what was counted meanwhile is of no step
}

// block is one step. What it holds is immutable.
type block struct {
	from, to time.Time
	data     []byte
}

// identity is a label set in the history. It outlives its series.
type identity struct {
	index  uint32
	schema *schema
	key    key
	bounds []float64 // of the durations, in milliseconds
	last   time.Time // end of the last step that has it
}

// tracked is what the history knows of a live series.
type tracked struct {
	id    *identity
	last  figures
	round uint64
}

// NewHistory returns an empty history of t. Run fills it.
func (t *Table) NewHistory() *History {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return &History{table: t, cfg: t.cfg.History, seen: map[uint64]*tracked{}}
}

// Run reads the table once per step until ctx ends.
func (h *History) Run(ctx context.Context) error {
	tick := time.NewTicker(HistoryStep)
	defer tick.Stop()
	h.mu.Lock()
	h.began = time.Now()
	h.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			h.step(now)
		}
	}
}

// HistoryStats are the history's own figures.
type HistoryStats struct {
	Bytes     int    // of the steps
	LabelSets int    // in them
	Dropped   uint64 // steps that made room before their hour was over
}

// Stats returns the history's own figures.
func (h *History) Stats() HistoryStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return HistoryStats{Bytes: h.bytes, LabelSets: len(h.dict) - len(h.free), Dropped: h.dropped}
}

// step adds what was counted since the last one.
func (h *History) step(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.table
	t.mu.RLock()
	h.cfg = t.cfg.History
	var data []byte
	if h.cfg.Enabled {
		h.rounds++
		for _, v := range t.views {
			if v.group == groupHTTP || v.group == groupTCP {
				data = h.readView(data, v, now)
			}
		}
		if h.blind {
			data, h.blind = nil, false
		}
		for id, s := range h.seen {
			if s.round != h.rounds {
				delete(h.seen, id)
			}
		}
	} else {
		h.clear()
	}
	t.mu.RUnlock()
	h.add(block{from: h.began, to: now, data: data})
	h.began = now
}

// readView appends a record for every series of v that has grown.
func (h *History) readView(data []byte, v *view, now time.Time) []byte {
	g := v.gauge()
	var f figures
	for i := range v.shards {
		sh := &v.shards[i]
		sh.mu.Lock()
		for _, s := range sh.list {
			k := h.seen[s.ID]
			if k == nil {
				k = &tracked{}
				h.seen[s.ID] = k
			}
			k.round = h.rounds
			if !g.read(&f, s, k) {
				continue
			}
			if k.id == nil || h.dict[k.id.index] != k.id {
				k.id = h.identify(s, g.bounds)
			}
			k.id.last = now
			data = appendRecord(data, k.id.index, &f)
		}
		sh.mu.Unlock()
	}
	return data
}

func (h *History) identify(s *series, bounds []float64) *identity {
	id := &identity{schema: s.schema, key: s.key, bounds: bounds}
	if n := len(h.free); n > 0 {
		id.index = h.free[n-1]
		h.free = h.free[:n-1]
		h.dict[id.index] = id
		return id
	}
	id.index = uint32(len(h.dict))
	h.dict = append(h.dict, id)
	return id
}

// add keeps b, and drops what is too old or too much.
func (h *History) add(b block) {
	b.data = append([]byte(nil), b.data...)
	h.fine = append(h.fine, b)
	h.bytes += len(b.data)
	if h.rounds > 0 && h.rounds%uint64(finePerCoarse) == 0 && len(h.fine) >= finePerCoarse {
		c := h.merge(h.fine[len(h.fine)-finePerCoarse:])
		h.coarse = append(h.coarse, c)
		h.bytes += len(c.data)
	}
	if len(h.fine) > historyFine {
		h.fine = h.drop(h.fine)
	}
	for len(h.coarse) > historyHour {
		h.coarse = h.drop(h.coarse)
	}
	for h.bytes > h.cfg.MaxSizeMiB<<20 && len(h.coarse)+len(h.fine) > 1 {
		h.dropped++
		if len(h.coarse) > 0 {
			h.coarse = h.drop(h.coarse)
		} else {
			h.fine = h.drop(h.fine)
		}
	}
	h.forget()
}

func (h *History) drop(list []block) []block {
	h.bytes -= len(list[0].data)
	// A query may read the old array.
	return append([]block(nil), list[1:]...)
}

// forget frees the identities that no step has.
func (h *History) forget() {
	oldest := h.began
	for _, list := range [][]block{h.fine, h.coarse} {
		if len(list) > 0 && list[0].from.Before(oldest) {
			oldest = list[0].from
		}
	}
	for i, id := range h.dict {
		if id != nil && id.last.Before(oldest) {
			h.dict[i] = nil
			h.free = append(h.free, uint32(i))
		}
	}
}

func (h *History) clear() {
	h.fine, h.coarse, h.bytes = nil, nil, 0
	h.dict, h.free = nil, nil
	clear(h.seen)
	h.blind = true
}

// merge makes one step of several.
func (h *History) merge(steps []block) block {
	sum := make(map[uint32]*figures, len(h.dict))
	for i := range steps {
		eachRecord(steps[i].data, func(index uint32, f *figures) {
			if s := sum[index]; s != nil {
				s.add(f)
				return
			}
			s := new(figures)
			s.add(f)
			sum[index] = s
		})
	}
	b := block{from: steps[0].from, to: steps[len(steps)-1].to}
	for index := range h.dict {
		if f := sum[uint32(index)]; f != nil {
			b.data = appendRecord(b.data, uint32(index), f)
		}
	}
	return b
}
