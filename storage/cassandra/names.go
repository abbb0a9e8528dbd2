package cassandra

import (
	"sync"
	"time"
)

// nameCache knows which names are written, for half their time to live.
type nameCache struct {
	ttl time.Duration
	now func() time.Time

	mu    sync.RWMutex
	until map[string]time.Time
}

// maxNames bounds the cache; beyond it all are forgotten and written once more.
const maxNames = 100_000

func newNameCache(ttl time.Duration) *nameCache {
	return &nameCache{ttl: ttl / 2, now: time.Now, until: map[string]time.Time{}}
}

func (c *nameCache) has(name string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	until, ok := c.until[name]
	return ok && c.now().Before(until)
}

// written remembers the name.
func (c *nameCache) written(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.until) >= maxNames {
		clear(c.until)
	}
	c.until[name] = c.now().Add(c.ttl)
}
