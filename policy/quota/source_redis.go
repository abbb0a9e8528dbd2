package quota

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// shared keeps states in Redis, for a fleet.
//
//	charge ─▶ lease: tokens in hand ────────────────────────────▶ answer
//	            │ none, too small a limit, or sync
//	            └▶ ask ─▶ batcher ─▶ Redis ─▶ apply ─▶ lease, waiter ─▶ answer
//	tick ─▶ what is used up by half, what grew old ─▶ batcher
type shared struct {
	cfg      RedisConfig
	onError  atomic.Value // mesh.QuotaOnError
	register *register
	local    *local // of this process alone, while Redis cannot be asked
	now      func() int64
	log      *slog.Logger
	client   *redisClient
	batcher  *batcher
	shards   [leaseShards]leaseShard
	groups   atomic.Uint64
	books    tokenBooks
	waits    atomic.Uint64 // charges that waited for Redis
	refused  atomic.Uint64 // of a Cluster: charges that another part took back
}

func newShared(cfg *Config, l *local, now func() int64, log *slog.Logger) (*shared, error) {
	client, err := newRedisClient(cfg.Redis)
	if err != nil {
		return nil, err
	}
	s := &shared{cfg: cfg.Redis, register: l.register, local: l, now: now, log: log, client: client}
	s.batcher = &batcher{client: client, now: now, apply: s.apply, wake: make(chan struct{}, 1), roundTrips: newRoundTrips()}
	s.reconfigure(cfg)
	s.batcher.breaker.start(now())
	for i := range s.shards {
		s.shards[i].leases = map[mesh.QuotaID]*lease{}
	}
	return s, nil
}

// reconfigure puts to use what of cfg can change while charges wait.
func (s *shared) reconfigure(cfg *Config) {
	o, _ := onError(cfg.OnError) // it was validated
	s.onError.Store(o)
	s.batcher.timeout.Store(int64(cfg.Redis.Timeout))
	s.batcher.mu.Lock()
	s.batcher.most = cfg.Redis.MaxPending
	s.batcher.mu.Unlock()
}

// tickEvery is how often leases are looked at: twice in their life, so that one
// is refilled before it ends.
func (s *shared) tickEvery() time.Duration { return s.cfg.LeaseMaxAge / 2 }

// what became of one quota of a charge so far.
type standing uint8

const (
	stands   standing = iota // taken from a lease, or nothing to take
	refuses                  // there is nothing to have at present
	unknown                  // Redis must be asked
	answered                 // it was
	fellBack                 // on_error has answered
)

// plan is one quota of a charge on its way.
type plan struct {
	limit    limit
	lease    *lease
	refill   bool // the ask fills the lease too
	at       standing
	ask      int // index in the waiter
	reply    reply
	shard    int
	was      [2]tokens // of the lease, before
	fallback mesh.QuotaOnError
}

func (s *shared) charge(ctx context.Context, now int64, quotas []mesh.Quota, results []mesh.QuotaResult, mode mesh.ChargeMode) bool {
	var buf [fewQuotas]plan
	plans := buf[:0]
	if len(quotas) > fewQuotas {
		plans = make([]plan, 0, len(quotas))
	}
	var locked leaseSet
	for i := range quotas {
		shard := leaseShardOf(&quotas[i].ID)
		plans = append(plans, plan{limit: limitOf(&quotas[i]), shard: shard})
		locked.add(shard)
	}
	for i := range locked.each {
		s.shards[i].Lock()
	}
	over, asks := false, 0
	for i := range quotas {
		q, p := &quotas[i], &plans[i]
		s.fromLease(now, q, p, &results[i])
		over = over || p.at == refuses && !q.Shadow
		if p.at == unknown {
			asks++
		}
	}
	if mode == mesh.ChargeAll && over {
		s.undo(now, quotas, plans, results)
		asks = 0
	} else if asks == 0 {
		s.spent(quotas, plans)
	}
	for i := range locked.each {
		s.shards[i].Unlock()
	}
	if asks > 0 {
		return s.chargeSlowly(ctx, now, quotas, plans, results, mode, asks)
	}
	return !over || mode == mesh.ChargeEach
}

// fromLease charges what can be charged without asking. The shard is locked.
func (s *shared) fromLease(now int64, q *mesh.Quota, p *plan, r *mesh.QuotaResult) {
	sh := &s.shards[p.shard]
	p.at = unknown
	if q.Sync || q.Refund || q.Overdraw {
		return
	}
	k := sh.leases[q.ID]
	if k == nil {
		if !splits(&p.limit, s.cfg.LeaseMaxAge) {
			return // not before it is refused
		}
		if k = sh.hold(q, &p.limit, func() uint32 { return s.register.spec(q.Name, p.limit) }, now, s.cfg.LeaseMaxAge); k == nil {
			return
		}
	}
	k.quota = p.limit
	p.lease, p.was = k, [2]tokens{k.cur, k.next}
	ahead := splits(&p.limit, s.cfg.LeaseMaxAge)
	if ahead {
		sh.use(k, now, q.Cost)
		s.old(k, now)
		p.was = [2]tokens{k.cur, k.next}
	} else {
		k.usedAt = now
	}
	switch {
	case ahead && k.take(q.Cost):
		p.at = stands
		count(&k.charges)
		*r = k.result(now, q.Cost, false)
	case q.Cost > 0 && k.dry(now, q.Cost):
		p.at = refuses
		count(&k.over)
		*r = k.result(now, q.Cost, true)
	case ahead && !k.asking:
		k.asking, p.refill = true, true
	}
}

// old gives back what has grown too old. The shard is locked.
func (s *shared) old(k *lease, now int64) {
	for _, t := range k.expire(now) {
		s.giveBack(k.id, &k.quota, t.left, t.end, now, now+1)
	}
}

// giveBack returns tokens with the next tick. A window that is over by ends wants
// nothing.
func (s *shared) giveBack(id mesh.QuotaID, l *limit, n uint64, end int64, now, ends int64) {
	if n == 0 {
		return
	}
	a := ask{item: item{op: opRefund, id: id, limit: *l, want: n}, end: end}
	if ends <= now || !s.batcher.giveBack(a) {
		s.books.expired.Add(n)
	}
}

// spent books what leases gave. The shards are locked.
func (s *shared) spent(quotas []mesh.Quota, plans []plan) {
	n := uint64(0)
	for i := range quotas {
		if plans[i].at == stands {
			n += quotas[i].Cost
		}
	}
	s.books.spent.Add(n)
}

// undo puts back what a charge took from leases that another quota refused. The
// shards are locked.
func (s *shared) undo(now int64, quotas []mesh.Quota, plans []plan, results []mesh.QuotaResult) {
	for i := len(quotas) - 1; i >= 0; i-- {
		q, p := &quotas[i], &plans[i]
		if p.refill {
			p.lease.asking, p.refill = false, false
		}
		switch p.at {
		case stands:
			p.lease.cur, p.lease.next = p.was[0], p.was[1]
			p.lease.charges--
			results[i] = p.lease.result(now, q.Cost, false)
		case unknown:
			if p.lease != nil {
				results[i] = p.lease.result(now, q.Cost, false)
			} else {
				results[i] = mesh.QuotaResult{Source: mesh.QuotaRedis, Limit: p.limit.n, Remaining: p.limit.burst}
			}
		}
	}
}

// chargeSlowly asks Redis for what is unknown.
func (s *shared) chargeSlowly(ctx context.Context, now int64, quotas []mesh.Quota, plans []plan, results []mesh.QuotaResult, mode mesh.ChargeMode, n int) bool {
	s.waits.Add(1)
	w := newWaiter(n)
	asks := make([]ask, 0, n)
	var group uint64
	if mode == mesh.ChargeAll && n > 1 {
		group = s.groups.Add(1)
	}
	for i := range quotas {
		q, p := &quotas[i], &plans[i]
		if p.at != unknown {
			continue
		}
		p.ask = len(asks)
		a := ask{item: item{op: opTake, group: group, id: q.ID, limit: p.limit, want: q.Cost, least: int64(min(q.Cost, 1<<52))}, wait: w, index: p.ask, lease: p.lease}
		switch {
		case q.Refund:
			a.op = opRefund
		case q.Overdraw:
			a.op = opOverdraw
		case p.refill:
			a.refill = true
			s.shards[p.shard].Lock()
			a.want = p.lease.want(q.Cost)
			s.shards[p.shard].Unlock()
		}
		if q.Shadow && mode == mesh.ChargeAll {
			a.least = -1
			a.want = q.Cost
		}
		asks = append(asks, a)
	}
	err := s.batcher.submit(asks...)
	if err == nil {
		timeout := time.NewTimer(s.batcher.patience() * 3 / 2) // it may wait for its turn
		select {
		case <-w.done:
		case <-timeout.C:
			err = context.DeadlineExceeded
		case <-ctx.Done():
			err = ctx.Err()
		}
		timeout.Stop()
		w.leave(err)
	} else {
		for i := range w.replies {
			w.replies[i].err = err
		}
		s.unask(asks)
	}
	return s.settle(now, quotas, plans, results, mode, w.replies)
}

// unask lets others ask for the leases of asks that were not submitted.
func (s *shared) unask(asks []ask) {
	for i := range asks {
		if k := asks[i].lease; asks[i].refill {
			sh := &s.shards[leaseShardOf(&asks[i].id)]
			sh.Lock()
			k.asking = false
			sh.Unlock()
		}
	}
}

// settle makes results of what Redis said, and gives back what was taken in vain.
func (s *shared) settle(now int64, quotas []mesh.Quota, plans []plan, results []mesh.QuotaResult, mode mesh.ChargeMode, replies []reply) bool {
	over := false
	for i := range quotas {
		q, p, r := &quotas[i], &plans[i], &results[i]
		if p.at == unknown {
			p.reply = replies[p.ask]
			if p.reply.err != nil {
				s.fallBack(now, q, p, r)
			} else {
				p.at = answered
				*r = mesh.QuotaResult{
					Source: mesh.QuotaRedis, Limit: p.limit.n, Remaining: p.reply.left, Reset: p.reply.reset,
					Over: p.reply.taken < q.Cost && !q.Refund,
				}
				if q.Cost == 0 && !q.Refund { // a window that is overdrawn
					r.Over = p.reply.retry > 0
				}
				if r.Over {
					r.RetryAfter = max(p.reply.retry, time.Millisecond)
					if q.Cost > p.limit.burst {
						r.RetryAfter = mesh.Never
					} else if p.reply.retry == 0 {
						// Only the others of its group refused.
						r.Over, r.RetryAfter = false, 0
					}
				}
				s.tally(q, p, r.Over)
			}
		}
		over = over || r.Over && !q.Shadow
	}
	took := mode == mesh.ChargeEach || !over
	spent := uint64(0)
	for i := range quotas {
		q, p := &quotas[i], &plans[i]
		switch {
		case q.Refund:
		case took:
			if p.at == stands || p.at == answered && p.reply.taken >= q.Cost {
				spent += q.Cost
			} else if p.at == answered {
				s.giveBack(q.ID, &p.limit, p.reply.taken, p.reply.end, now, now+1)
			}
		case p.at == stands:
			s.giveBack(q.ID, &p.limit, q.Cost, p.was[0].end, now, now+1)
		case p.at == answered && p.reply.taken > 0:
			s.refused.Add(1)
			s.giveBack(q.ID, &p.limit, p.reply.taken, p.reply.end, now, now+1)
		case p.at == fellBack && p.fallback == mesh.QuotaErrorLocal && !results[i].Over:
			s.local.refundOne(now, q)
		}
	}
	s.books.spent.Add(spent)
	return took
}

// tally counts the answer at the key's lease, and remembers a refusal: asking
// again before the time that Redis named is in vain.
func (s *shared) tally(q *mesh.Quota, p *plan, over bool) {
	sh := &s.shards[p.shard]
	sh.Lock()
	defer sh.Unlock()
	k := p.lease
	if k == nil {
		spec := s.register.spec(q.Name, p.limit)
		if !over || q.Sync {
			return
		}
		now := s.now()
		if k = sh.hold(q, &p.limit, func() uint32 { return spec }, now, s.cfg.LeaseMaxAge); k == nil {
			return
		}
		k.usedAt = now
		k.learn(now, &p.reply)
	}
	if over {
		count(&k.over)
	} else {
		count(&k.charges)
	}
}

// fallBack answers as on_error says.
func (s *shared) fallBack(now int64, q *mesh.Quota, p *plan, r *mesh.QuotaResult) {
	p.at, p.fallback = fellBack, q.OnError
	if p.fallback == mesh.QuotaErrorDefault {
		p.fallback = s.onError.Load().(mesh.QuotaOnError)
	}
	switch p.fallback {
	case mesh.QuotaErrorLocal:
		*r = s.local.chargeOne(now, q)
		if r.Source == mesh.QuotaLocal {
			r.Source = mesh.QuotaFallback
		}
	case mesh.QuotaErrorAllow:
		*r = mesh.QuotaResult{Source: mesh.QuotaFailed, Limit: p.limit.n, Remaining: p.limit.burst}
	default:
		*r = mesh.QuotaResult{Source: mesh.QuotaFailed, Limit: p.limit.n, Over: !q.Refund, RetryAfter: time.Second}
	}
}

// apply distributes what Redis said.
func (s *shared) apply(sent int64, asks []ask, replies []reply) {
	for i := range asks {
		a, r := &asks[i], replies[i]
		if r.err == nil && (a.op == opTake || a.op == opOverdraw) {
			s.books.granted.Add(r.taken)
		}
		switch {
		case a.op == opRefund && a.wait == nil:
			s.givenBack(sent, a, &r)
			if r.err == nil && r.taken > 0 {
				s.books.returned.Add(r.taken)
			} else { // Redis does not know, or the window is over
				s.books.expired.Add(a.want)
			}
			continue
		case a.lease != nil:
			r = s.fill(sent, a, r)
		}
		if a.wait != nil && !a.wait.deliver(a.index, r) && r.err == nil && a.op != opRefund {
			s.giveBack(a.id, &a.limit, r.taken, r.end, sent, sent+1)
		}
	}
}

// givenBack lets the key's lease know that there is more again.
func (s *shared) givenBack(sent int64, a *ask, r *reply) {
	if r.err != nil {
		return
	}
	sh := &s.shards[leaseShardOf(&a.id)]
	sh.Lock()
	defer sh.Unlock()
	if k := sh.leases[a.id]; k != nil && sent >= k.saidAt {
		k.learn(sent, r)
	}
}

// fill puts what was taken into the lease, but for the share of who waits.
func (s *shared) fill(sent int64, a *ask, r reply) reply {
	sh := &s.shards[leaseShardOf(&a.id)]
	sh.Lock()
	defer sh.Unlock()
	k := a.lease
	if a.refill {
		k.asking = false
	}
	if r.err != nil {
		return r
	}
	k.learn(sent, &r)
	now := s.now()
	k.dryUntil = 0
	if r.left == 0 && splits(&a.limit, s.cfg.LeaseMaxAge) {
		// Others come too. With the next tick there may be some for everybody.
		k.dryUntil = now + int64(s.tickEvery())
	}
	own := uint64(0)
	if a.wait != nil && a.least >= 0 {
		own = min(uint64(a.least), r.taken)
	} else if a.wait != nil {
		own = r.taken
	}
	if more := r.taken - own; more > 0 {
		t := tokens{left: more, size: more, expires: sent + int64(s.cfg.LeaseMaxAge), end: r.end}
		if a.limit.algorithm == mesh.FixedWindow {
			t.expires = min(t.expires, sent+int64(r.reset))
		}
		k.add(t)
	}
	r.taken = own
	return r
}
