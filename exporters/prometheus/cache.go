package prometheus

import (
	"sync"

	"github.com/tallygate/tallygate/red"
)

// cache holds rendered label sets by the ID of their series.
type cache struct {
	render func(dst []byte, names, values []string) []byte

	mu     sync.Mutex
	scrape uint64
	byID   map[uint64]*rendered
	values []string // scratch
	buf    []byte   // scratch
}

type rendered struct {
	labels []byte
	scrape uint64 // the last that asked for it
}

func newCache(render func([]byte, []string, []string) []byte) *cache {
	return &cache{render: render, byID: make(map[uint64]*rendered)}
}

// of returns the label sets of the rows of each view, and forgets those of
// series that are gone. dst is reused.
func (c *cache) of(dst [][][]byte, views []red.View) [][][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scrape++
	for len(dst) < len(views) {
		dst = append(dst, nil)
	}
	dst = dst[:len(views)]
	rows := 0
	for i := range views {
		v := &views[i]
		sets := dst[i][:0]
		for j := range v.Rows {
			sets = append(sets, c.labels(v.Labels, v.Rows[j].Series))
		}
		clear(sets[len(sets):cap(sets)])
		dst[i] = sets
		rows += len(v.Rows)
	}
	if len(c.byID) > rows {
		for id, r := range c.byID {
			if r.scrape != c.scrape {
				delete(c.byID, id)
			}
		}
	}
	return dst
}

func (c *cache) labels(names []string, s *red.Series) []byte {
	r := c.byID[s.ID]
	if r == nil {
		c.values = s.AppendValues(c.values[:0])
		c.buf = c.render(c.buf[:0], names, c.values)
		r = &rendered{labels: append(make([]byte, 0, len(c.buf)), c.buf...)}
		c.byID[s.ID] = r
	}
	r.scrape = c.scrape
	return r.labels
}
