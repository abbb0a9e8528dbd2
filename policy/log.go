package policy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// flushEvery is how long a record waits at most before it is written.
const flushEvery = 200 * time.Millisecond

// decisionLog takes records on the request path and writes them on a worker.
type decisionLog struct {
	m      *metrics
	log    *slog.Logger
	stdout io.Writer
	opa    func(context.Context, *Record, *mesh.Verdict) error
	wake   chan struct{}

	mu      sync.Mutex
	cfg     LogConfig
	mask    *mask
	queue   []entry // waiting; never grows beyond cfg.QueueSize
	second  int64   // that the budgets are of
	records int     // left in this second
	inputs  int

	writing sync.Mutex // held by the worker while it writes, and by a reload
	sinks   map[string]io.WriteCloser
	hands   bool // records to opa
	lines   []byte

	kept   ring[Record]
	denied ring[Record] // among the kept ones they would soon be gone
}

// entry is a record before anything was made of it: it costs the request path a
// copy.
type entry struct {
	time       time.Time
	id         string
	generation *generation
	entrypoint string
	listener   mesh.Listener
	verdict    *mesh.Verdict // nil if it failed
	failure    string
	quota      string // that refused
	watched    string // a shadow quota that would have
	hit        bool
	took       time.Duration
	trace      [64]byte
	traceLen   int
	input      json.RawMessage
	omitted    string
}

func newDecisionLog(cfg LogConfig, m *metrics, opts Options) (*decisionLog, error) {
	l := &decisionLog{m: m, log: opts.Log, stdout: opts.Stdout, opa: opts.OPA, wake: make(chan struct{}, 1)}
	return l, l.configure(cfg)
}

func (l *decisionLog) configure(cfg LogConfig) error {
	hands := slices.Contains(cfg.Sinks, SinkOPA)
	if hands && l.opa == nil {
		return errors.New("sinks: nothing takes what goes to opa")
	}
	sinks, err := openSinks(cfg.Sinks, l.stdout)
	if err != nil {
		return err
	}
	l.writing.Lock()
	old := l.sinks
	l.sinks, l.hands = sinks, hands
	l.kept.resize(cfg.Keep)
	l.denied.resize(min(cfg.Keep, keptDenials))
	l.writing.Unlock()
	l.mu.Lock()
	l.cfg, l.mask = cfg, newMask(cfg.MaskHeaders, cfg.Mask)
	l.mu.Unlock()
	return closeSinks(old)
}

// add takes e within the budgets. The input is read of r if it is wanted.
func (l *decisionLog) add(e *entry, r mesh.Request) {
	routine := e.hit && e.verdict != nil && e.verdict.Allowed && e.quota == ""
	l.mu.Lock()
	if s := e.time.Unix(); s != l.second {
		l.second, l.records, l.inputs = s, l.cfg.MaxRecordsPerSecond, l.cfg.MaxInputsPerSecond
	}
	if routine && l.cfg.MaxRecordsPerSecond > 0 {
		if l.records <= 0 {
			l.mu.Unlock()
			l.m.logSampledOut.Inc()
			return
		}
		l.records--
	}
	denied := e.verdict != nil && (!e.verdict.Allowed || e.quota != "")
	want := l.cfg.MaxInputBytes > 0 && (denied || l.cfg.InputSample > 0 && rand.Float64() < l.cfg.InputSample)
	if want && l.inputs > 0 && len(l.queue) < l.cfg.QueueSize {
		l.inputs--
		// Not under the lock: it takes longer than everything else here.
		mask, limit := l.mask, l.cfg.MaxInputBytes
		l.mu.Unlock()
		e.input = maskedInput(r, mask, limit)
		if e.input == nil {
			e.omitted = "too_large"
		}
		l.mu.Lock()
	} else if want && denied {
		e.omitted = "budget"
	}
	if len(l.queue) >= l.cfg.QueueSize {
		l.mu.Unlock()
		l.m.logQueueFull.Inc()
		return
	}
	l.queue = append(l.queue, *e)
	full := len(l.queue) == l.cfg.QueueSize/2
	l.mu.Unlock()
	if full {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// maskedInput is the whole input as JSON, nil if it is larger than limit.
func maskedInput(r mesh.Request, m *mask, limit int) json.RawMessage {
	v, ok := r.Lookup(nil)
	if !ok {
		return nil
	}
	b := m.appendJSON(make([]byte, 0, 2<<10), &v, limit)
	if len(b) > limit {
		return nil
	}
	return b
}

// run writes until ctx ends, then what is left.
func (l *decisionLog) run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var spare []entry
	for {
		select {
		case <-ctx.Done():
			l.flush(spare)
			l.writing.Lock()
			defer l.writing.Unlock()
			err := closeSinks(l.sinks)
			l.sinks = nil
			return err
		case <-tick.C:
		case <-l.wake:
		}
		spare = l.flush(spare)
	}
}

// flush writes what waits; next becomes the queue. It returns the emptied one.
func (l *decisionLog) flush(next []entry) []entry {
	l.mu.Lock()
	batch := l.queue
	l.queue = next[:0]
	l.mu.Unlock()
	if len(batch) == 0 {
		return batch
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	lines := l.lines[:0]
	skip, failed := 0, 0
	if len(l.sinks) == 0 && !l.hands {
		skip = len(batch) - l.kept.cap() // nobody would see them
	}
	for i := range batch {
		denied := batch[i].verdict != nil && !batch[i].verdict.Allowed
		if i < skip && !denied {
			continue
		}
		r := batch[i].record()
		if denied {
			l.denied.add(r)
		}
		if i < skip {
			continue
		}
		if len(l.sinks) > 0 {
			lines = r.appendLine(lines)
		}
		if l.hands {
			if err := l.hand(&r, batch[i].verdict); err != nil {
				if failed++; failed == 1 {
					l.log.Warn("Handing decisions to OPA's decision_logs", "err", err)
				}
			}
		}
		l.kept.add(r)
	}
	l.m.logWriteErrors.Add(float64(failed))
	for name, w := range l.sinks {
		if _, err := w.Write(lines); err != nil {
			l.m.logWriteErrors.Add(float64(len(batch)))
			l.log.Warn("Writing the decision log", "sink", name, "err", err)
		}
	}
	l.m.logRecords.Add(float64(len(batch)))
	if cap(lines) <= 1<<20 {
		l.lines = lines
	} else {
		l.lines = nil
	}
	clear(batch)
	return batch[:0]
}

// handTimeout is what OPA's plugin may take of the worker's time for a record.
const handTimeout = time.Second

func (l *decisionLog) hand(r *Record, v *mesh.Verdict) error {
	ctx, cancel := context.WithTimeout(context.Background(), handTimeout)
	defer cancel()
	return l.opa(ctx, r, v)
}

func (e *entry) record() Record {
	r := Record{
		Time: e.time.UTC(), ID: e.id, Entrypoint: e.entrypoint, Listener: e.listener.String(),
		Verdict: verdictError, Reason: e.failure, Hit: e.hit, Micros: float64(e.took) / 1e3,
		TraceID: string(e.trace[:e.traceLen]), Input: e.input, InputOmitted: e.omitted,
	}
	if e.generation != nil {
		r.Revision = e.generation.revision
	}
	if v := e.verdict; v != nil {
		r.Verdict, r.Rule, r.Reason = verdictName(v), v.Rule, v.Reason
	}
	r.Quota, r.ShadowQuota = e.quota, e.watched
	if e.quota != "" {
		r.Verdict, r.Reason = verdictDeny, "the quota is used up"
	}
	return r
}

// last returns the last records, the newest first.
func (l *decisionLog) last() []Record { return l.kept.newest() }

func (e *entry) setTrace(id string) { e.traceLen = copy(e.trace[:], id) }
