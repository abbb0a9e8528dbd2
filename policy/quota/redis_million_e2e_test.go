//go:build e2e

package quota

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
	"github.com/tallygate/tallygate/mesh"
)

// TestMillionKeys: a million keys that come once each take bounded memory here, in
// Redis none for longer than they count, forgive nobody, and cost nobody an answer.
func TestMillionKeys(t *testing.T) {
	const million, atOnce = 1_000_000, 2000
	for _, sync_ := range []bool{false, true} {
		t.Run(map[bool]string{false: "leases", true: "sync"}[sync_], func(t *testing.T) {
			redis := startRedis(t)
			l, _ := startReplica(t, redisConfig(redis.Addr))
			memory := func(of string, pid int) (now, peak int64) {
				t.Helper()
				now, peak, err := envoysim.RSS(pid)
				if err != nil {
					t.Fatalf("%s: %v", of, err)
				}
				return now, peak
			}
			before, _ := memory("this process", os.Getpid())
			usedUp := mesh.Quota{Name: "hourly", Key: "mallory", Limit: 3, Per: time.Hour, Cost: 3, Sync: sync_}
			usedUp.Identify(nil)
			if r := once(t, l, usedUp); r.Over {
				t.Fatalf("%+v", r)
			}

			// Somebody else goes on meanwhile, at a steady rate.
			done, gone := make(chan struct{}), make(chan struct{})
			var asked, refused, unanswered int
			go func() {
				defer close(gone)
				tick := time.NewTicker(5 * time.Millisecond)
				defer tick.Stop()
				alice := perSecond("known", "alice", 1000)
				alice.Sync = sync_
				results := make([]mesh.QuotaResult, 1)
				for {
					select {
					case <-done:
						return
					case <-tick.C:
					}
					l.Charge(t.Context(), []mesh.Quota{alice}, results, mesh.ChargeAll)
					asked++
					if results[0].Source == mesh.QuotaFailed {
						unanswered++
					} else if results[0].Over {
						refused++
					}
				}
			}()
			began := time.Now()
			var n, over atomic.Int64
			var wg sync.WaitGroup
			for range atOnce {
				wg.Go(func() {
					results := make([]mesh.QuotaResult, 1)
					for i := n.Add(1); i <= million; i = n.Add(1) {
						q := perSecond("made-up", fmt.Sprintf("%d %s", i, strings.Repeat("x", 100)), 1000)
						q.Sync = sync_
						if l.Charge(t.Context(), []mesh.Quota{q}, results, mesh.ChargeAll).Over {
							over.Add(1)
						}
					}
				})
			}
			wg.Wait()
			took := time.Since(began)
			close(done)
			<-gone
			after, _ := memory("this process", os.Getpid())
			_, peak := memory("redis", redis.PID())
			t.Logf("%d keys in %.1f s: this process grew by %d MB, redis to %d MB", million, took.Seconds(), (after-before)>>20, peak>>20)

			if keys, _ := l.shared.held(); keys > leaseShards*leasesPerShard {
				t.Errorf("%d leases; want at most %d", keys, leaseShards*leasesPerShard)
			}
			if grown := after - before; grown > 256<<20 {
				t.Errorf("this process grew by %d MB", grown>>20)
			}
			if peak > 256<<20 {
				t.Errorf("redis took %d MB", peak>>20)
			}
			if over.Load() > 0 || refused > 0 || unanswered > 0 || asked < int(took/(50*time.Millisecond)) {
				t.Errorf("%d of the keys were refused; of somebody else's %d charges %d were refused and %d not answered", over.Load(), asked, refused, unanswered)
			}
			usedUp.Cost = 1
			if r := once(t, l, usedUp); !r.Over {
				t.Errorf("who had used all has some again: %+v", r)
			}
			// What counts no more is gone: the one that is left is mallory's.
			eventually(t, "redis forgets", func() bool {
				size, err := redis.Do(t.Context(), "DBSIZE")
				return err == nil && size == ":1"
			})
		})
	}
}
