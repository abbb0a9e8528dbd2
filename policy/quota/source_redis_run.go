package quota

import (
	"context"
	"sync"
	"time"
)

// tick refills what will be used up, and gives back what has grown old.
func (s *shared) tick(now int64) {
	var asks []ask
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		keep := sh.active[:0]
		for _, k := range sh.active {
			s.old(k, now)
			k.demand = 0.6*k.demand + 0.4*2*float64(k.asked)
			lately := now-k.usedAt < int64(2*s.cfg.LeaseMaxAge)
			k.asked = 0
			half := k.cur.left*2 <= k.cur.size || k.cur.expires-now <= int64(s.cfg.LeaseMaxAge)*6/10
			again := k.charges+k.over > 1 // who comes once needs nothing more
			if !k.asking && lately && again && half && k.next.left == 0 {
				k.asking = true
				asks = append(asks, ask{item: item{op: opTake, id: k.id, limit: k.quota, want: k.want(1), least: 1}, lease: k, refill: true})
			}
			if k.left() > 0 || k.asking || now-k.usedAt < int64(3*s.cfg.LeaseMaxAge) {
				keep = append(keep, k)
			} else {
				k.listed, k.demand = false, 0
			}
		}
		clear(sh.active[len(keep):])
		sh.active = keep
		sh.Unlock()
	}
	s.unask(s.batcher.refill(asks))
}

// run works until ctx ends; then what is held goes back.
func (s *shared) run(ctx context.Context) {
	tick := time.NewTicker(s.tickEvery())
	defer tick.Stop()
	background := context.WithoutCancel(ctx)
	var probing sync.WaitGroup
	trying := make(chan struct{}, 1)
	for ctx.Err() == nil {
		now := s.now()
		if s.batcher.breaker.probe(now) {
			select {
			case trying <- struct{}{}:
				probing.Go(func() {
					s.probe(background)
					<-trying
				})
			default:
			}
		}
		ticked := false
		select {
		case <-ctx.Done():
		case <-s.batcher.wake:
		case <-tick.C:
			s.tick(s.now())
			ticked = true
		}
		s.batcher.flush(background, ticked)
	}
	s.batcher.mu.Lock()
	s.batcher.stopped = true
	s.batcher.mu.Unlock()
	for {
		s.batcher.flush(background, true)
		s.batcher.wg.Wait()
		s.returnAll()
		if !s.batcher.pending() {
			break
		}
	}
	probing.Wait()
	s.client.close()
}

func (b *batcher) pending() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.urgent)+len(b.refills)+len(b.returns) > 0
}

func (s *shared) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.batcher.patience())
	defer cancel()
	if err := s.client.connect(ctx); err != nil {
		return
	}
	if s.batcher.breaker.passed() {
		s.log.Info("Redis answers; quotas are shared")
	}
}

// returnAll gives back what is held.
func (s *shared) returnAll() {
	now := s.now()
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		for _, k := range sh.active {
			for _, t := range []tokens{k.cur, k.next} {
				s.giveBack(k.id, &k.quota, t.left, t.end, now, now+1)
			}
			k.cur, k.next = tokens{}, tokens{}
		}
		sh.Unlock()
	}
}
