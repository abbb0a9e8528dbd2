package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// Difference is a request that the candidate judged differently.
type Difference struct {
	Time         time.Time       `json:"time"`
	Entrypoint   string          `json:"entrypoint"`
	Listener     string          `json:"listener"`
	Enforced     string          `json:"enforced"` // allow, deny
	EnforcedRule string          `json:"enforced_rule,omitempty"`
	Shadow       string          `json:"shadow"` // allow, deny, error
	ShadowRule   string          `json:"shadow_rule,omitempty"`
	Reason       string          `json:"reason,omitempty"` // of the candidate's denial or failure
	Revision     string          `json:"revision"`         // of the candidate
	Input        json.RawMessage `json:"input,omitempty"`  // without what is masked
}

// Cloner is a [mesh.Request] that can copy itself for later at less than the
// cost of the whole input.
type Cloner interface{ Clone() mesh.Request }

// shadow judges requests by a candidate, one at a time, off the request path.
type shadow struct {
	d     *Decider
	rules atomic.Pointer[shadowRules] // nil without a candidate
	share atomic.Uint64               // of 2^32
	queue chan shadowJob
	kept  ring[Difference]
}

type shadowRules struct{ Rules }

type shadowJob struct {
	at         time.Time
	entrypoint string
	label      string
	listener   mesh.Listener
	request    mesh.Request
	enforced   *mesh.Verdict
}

func newShadow(cfg ShadowConfig, d *Decider) *shadow {
	s := &shadow{d: d, queue: make(chan shadowJob, cfg.QueueSize)}
	s.configure(cfg)
	return s
}

// configure changes all but the queue, which is made once.
func (s *shadow) configure(cfg ShadowConfig) {
	s.share.Store(uint64(cfg.Share * (1 << 32)))
	s.kept.resize(cfg.Keep)
}

func (s *shadow) activate(r Rules) {
	if r == nil {
		s.rules.Store(nil)
		return
	}
	s.rules.Store(&shadowRules{r})
}

// offer hands a copy of a share of the requests over. It never waits.
func (s *shadow) offer(e *entrypoint, q *mesh.Query, enforced *mesh.Verdict) {
	if s.rules.Load() == nil || uint64(rand.Uint32()) >= s.share.Load() {
		return
	}
	if len(s.queue) == cap(s.queue) { // before the work of copying
		s.d.m.shadowDropped.Inc()
		return
	}
	j := shadowJob{at: time.Now(), entrypoint: e.name, label: e.label, listener: q.Listener, enforced: enforced}
	if c, ok := q.Request.(Cloner); ok {
		j.request = c.Clone()
	} else {
		j.request = Keep(q.Request)
	}
	select {
	case s.queue <- j:
	default:
		s.d.m.shadowDropped.Inc()
	}
}

func (s *shadow) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.queue:
			if r := s.rules.Load(); r != nil {
				s.judge(ctx, r, &j)
			}
		}
	}
}

func (s *shadow) judge(ctx context.Context, r *shadowRules, j *shadowJob) {
	ctx, cancel := context.WithTimeout(ctx, s.d.cfg.Load().EvaluationTimeout)
	defer cancel()
	result, err := evaluateSafely(ctx, r, j)
	d := Difference{
		Time: j.at.UTC(), Entrypoint: j.label, Listener: j.listener.String(), Revision: r.Revision(),
		Enforced: verdictName(j.enforced), EnforcedRule: j.enforced.Rule, Shadow: verdictError,
	}
	if err != nil {
		d.Reason = err.Error()
	} else {
		d.Shadow, d.ShadowRule, d.Reason = verdictName(result.Verdict), result.Verdict.Rule, result.Verdict.Reason
	}
	s.d.m.shadow.WithLabelValues(d.Enforced, d.Shadow, s.d.m.rule(strings.Clone(d.ShadowRule))).Inc()
	if d.Enforced == d.Shadow {
		return
	}
	s.d.log.mu.Lock()
	mask, limit := s.d.log.mask, s.d.log.cfg.MaxInputBytes
	s.d.log.mu.Unlock()
	d.Input = maskedInput(j.request, mask, limit)
	s.kept.add(d)
}

func evaluateSafely(ctx context.Context, r *shadowRules, j *shadowJob) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrAborted, p)
		}
	}()
	result, err = r.Evaluate(ctx, j.entrypoint, j.request)
	if err == nil && result.Verdict == nil {
		err = fmt.Errorf("evaluating %s: the rules said nothing", j.label)
	}
	return result, err
}
