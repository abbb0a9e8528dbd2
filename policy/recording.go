package policy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// Bounds of a recording.
const (
	MaxRecordFor   = time.Hour
	MaxRecordCount = 1_000_000
)

// ErrRecording means that another recording is under way.
var ErrRecording = errors.New("another recording is under way: wait for its end, or end it")

// RecordOptions say what to record of live decisions, and for how long.
type RecordOptions struct {
	For          time.Duration // at most MaxRecordFor
	Count        int           // at most MaxRecordCount
	Share        float64       // of what is recorded, above 0 to 1
	MaxPerSecond int           // bounds what it costs; 0 means no bound

	// Only these are recorded; empty ones mean all.
	Entrypoint string // as the decision log names it
	Verdict    string // allow, deny or error
	Rule       string // that decided

	// Masked beside what the decision log masks.
	MaskHeaders, Mask []string
}

// Validate returns every problem, each with the name of its field.
func (o *RecordOptions) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.For <= 0 || o.For > MaxRecordFor {
		add("for: %s is not above 0 and at most %s", o.For, MaxRecordFor)
	}
	if o.Count <= 0 || o.Count > MaxRecordCount {
		add("count: %d is not between 1 and %d", o.Count, MaxRecordCount)
	}
	if !(o.Share > 0 && o.Share <= 1) {
		add("share: %v is not above 0 and at most 1", o.Share)
	}
	if o.MaxPerSecond < 0 {
		add("max_per_second: %d is negative", o.MaxPerSecond)
	}
	if !slices.Contains([]string{"", verdictAllow, verdictDeny, verdictError}, o.Verdict) {
		add("verdict: %q is none of %s, %s, %s", o.Verdict, verdictAllow, verdictDeny, verdictError)
	}
	return errors.Join(errs...)
}

// RecordSummary is what became of a recording.
type RecordSummary struct {
	End      string `json:"end"` // why it ended: time, count, stopped
	Recorded int    `json:"recorded"`
	TooLarge int64  `json:"too_large"` // inputs, whose records have none
	Skipped  int64  `json:"skipped"`   // beyond max_per_second
	Dropped  int64  `json:"dropped"`   // because writing did not keep up
}

// recording takes decisions on the request path and hands them to who writes.
type recording struct {
	opts  RecordOptions
	mask  *mask
	limit int // bytes of an input
	m     *metrics
	queue chan entry
	stop  chan struct{} // closed when the decider ends

	tooLarge, skipped, dropped atomic.Int64

	mu     sync.Mutex
	second int64
	left   int // in it
}

// Record calls write with each decision from now on, as a line of JSON with its
// input, until one of the bounds is reached, ctx ends, the decider does, or write
// fails. There is one recording at a time.
func (d *Decider) Record(ctx context.Context, opts RecordOptions, write func(line []byte) error) (RecordSummary, error) {
	if err := opts.Validate(); err != nil {
		return RecordSummary{}, err
	}
	cfg := d.cfg.Load().DecisionLog
	r := &recording{
		opts:  opts,
		mask:  newMask(slices.Concat(cfg.MaskHeaders, opts.MaskHeaders), slices.Concat(cfg.Mask, opts.Mask)),
		limit: max(cfg.MaxInputBytes, 64<<10), m: d.m,
		queue: make(chan entry, 512), stop: make(chan struct{}),
	}
	if !d.recording.CompareAndSwap(nil, r) {
		return RecordSummary{}, ErrRecording
	}
	defer d.recording.CompareAndSwap(r, nil)
	over := time.NewTimer(opts.For)
	defer over.Stop()
	s := RecordSummary{}
	var line []byte
	for s.End == "" {
		select {
		case <-ctx.Done():
			s.End = "stopped"
		case <-r.stop:
			s.End = "stopped"
		case <-over.C:
			s.End = "time"
		case e := <-r.queue:
			rec := e.record()
			line = rec.appendLine(line[:0])
			if err := write(line); err != nil {
				return RecordSummary{}, fmt.Errorf("writing the recording: %w", err)
			}
			d.m.recorded.Inc()
			if s.Recorded++; s.Recorded == opts.Count {
				s.End = "count"
			}
		}
	}
	s.TooLarge, s.Skipped, s.Dropped = r.tooLarge.Load(), r.skipped.Load(), r.dropped.Load()
	return s, nil
}

// offer takes a decision if it is wanted. It never waits.
func (r *recording) offer(e entry, req mesh.Request) {
	verdict, rule := verdictError, ""
	if e.verdict != nil {
		verdict, rule = verdictName(e.verdict), e.verdict.Rule
	}
	o := &r.opts
	if o.Entrypoint != "" && o.Entrypoint != e.entrypoint || o.Verdict != "" && o.Verdict != verdict || o.Rule != "" && o.Rule != rule ||
		o.Share < 1 && rand.Float64() >= o.Share {
		return
	}
	if !r.within(e.time) {
		r.skipped.Add(1)
		r.m.recordSkipped.Inc()
		return
	}
	if len(r.queue) == cap(r.queue) { // before the work
		r.drop()
		return
	}
	if e.input = maskedInput(req, r.mask, r.limit); e.input == nil {
		e.omitted = "too_large"
		r.tooLarge.Add(1)
	}
	select {
	case r.queue <- e:
	default:
		r.drop()
	}
}

func (r *recording) drop() {
	r.dropped.Add(1)
	r.m.recordDropped.Inc()
}

// within reports whether another one of this second may be recorded.
func (r *recording) within(now time.Time) bool {
	if r.opts.MaxPerSecond == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := now.Unix(); s != r.second {
		r.second, r.left = s, r.opts.MaxPerSecond
	}
	r.left--
	return r.left >= 0
}
