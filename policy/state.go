package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// State is what a Decider does at present, for people.
type State struct {
	Generation  uint64            `json:"generation"` // 0 before the first
	Revision    string            `json:"revision"`
	Since       time.Time         `json:"since"`
	Entrypoints []EntrypointState `json:"entrypoints"`
	Cache       CacheState        `json:"cache"`
	Rules       []RuleState       `json:"rules"`  // what they decided since the start, the busiest first
	Shadow      string            `json:"shadow"` // revision of the candidate; empty without one
	Denials     []Record          `json:"denials"`
}

// EntrypointState says what the decisions of an entrypoint rest on, and so
// whether they are kept.
type EntrypointState struct {
	Name      string   `json:"name"` // "default" for the default one
	Cacheable bool     `json:"cacheable"`
	Reason    string   `json:"reason,omitempty"` // why not, or what needs a TTL, with file and line
	NeedsTTL  bool     `json:"needs_ttl,omitempty"`
	TTL       float64  `json:"ttl_seconds,omitempty"` // that the rules state for all its decisions
	Paths     []string `json:"paths"`                 // all that is read of the input
	Kinds     []string `json:"kinds,omitempty"`       // of which only presence and kind matter
	Allowed   float64  `json:"allowed"`               // decisions since the start
	Denied    float64  `json:"denied"`
}

// CacheState is how the decision cache does since the start.
type CacheState struct {
	Enabled   bool    `json:"enabled"`
	Entries   int     `json:"entries"`
	Bytes     int64   `json:"bytes"`
	MaxBytes  int64   `json:"max_bytes"`
	Evictions uint64  `json:"evictions"`
	Hits      float64 `json:"hits"`
	Misses    float64 `json:"misses"`
	Stale     float64 `json:"stale"`
	Bypassed  float64 `json:"bypassed"`
	Joined    float64 `json:"joined"`
	Errors    float64 `json:"errors"` // requests that could not be judged
}

// RuleState counts what a rule decided.
type RuleState struct {
	Entrypoint string  `json:"entrypoint"`
	Verdict    string  `json:"verdict"`
	Rule       string  `json:"rule"`
	Count      float64 `json:"count"`
}

// keptDenials is how many of the last denials stay in memory beside the last
// decisions, among which they would soon be gone.
const keptDenials = 100

// State describes the decider. Rules that can list their entrypoints are shown
// with all, others with those that were asked for.
func (d *Decider) State() State {
	s := State{Entrypoints: []EntrypointState{}, Rules: []RuleState{}, Denials: d.log.denied.newest()}
	if c := d.shadow.rules.Load(); c != nil {
		s.Shadow = c.Revision()
	}
	cfg, stats := d.cfg.Load(), d.cache.Load().Stats()
	s.Cache = CacheState{
		Enabled: cfg.Cache.Enabled, Entries: stats.Entries, Bytes: stats.Bytes, MaxBytes: int64(cfg.Cache.MaxSizeMiB) << 20,
		Evictions: stats.Evictions + d.evicted.Load(),
		Hits:      counted(d.m.hits), Misses: counted(d.m.misses), Stale: counted(d.m.stale), Joined: counted(d.m.joined),
		Bypassed: summed(d.m.bypass), Errors: summed(d.m.errors),
	}
	each(d.m.decisions, func(m *dto.Metric) {
		r := RuleState{Count: m.GetCounter().GetValue()}
		for _, l := range m.GetLabel() {
			switch l.GetName() {
			case LabelEntrypoint:
				r.Entrypoint = l.GetValue()
			case LabelVerdict:
				r.Verdict = l.GetValue()
			case LabelRule:
				r.Rule = l.GetValue()
			}
		}
		s.Rules = append(s.Rules, r)
	})
	slices.SortFunc(s.Rules, func(a, b RuleState) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Verdict, b.Verdict))
	})
	if g := d.current.Load(); g != nil {
		s.Generation, s.Revision, s.Since = g.id, g.revision, g.since
		s.Entrypoints = g.describe(s.Rules)
	}
	return s
}

func (g *generation) describe(rules []RuleState) []EntrypointState {
	var names []string
	if all, ok := g.rules.(interface{ Entrypoints() []string }); ok {
		names = all.Entrypoints()
	} else {
		g.entrypoints.Range(func(name, _ any) bool { names = append(names, name.(string)); return true })
		slices.Sort(names)
	}
	out := []EntrypointState{}
	for _, name := range names {
		e, err := g.entrypoint(name)
		if err != nil {
			continue
		}
		x := EntrypointState{
			Name: e.label, Cacheable: e.shape.Cacheable, Reason: e.shape.Reason, NeedsTTL: e.shape.NeedsTTL,
			TTL: e.shape.TTL.Seconds(), Paths: []string{},
		}
		for _, p := range e.shape.Paths {
			x.Paths = append(x.Paths, p.String())
		}
		for _, p := range e.shape.Kinds {
			x.Kinds = append(x.Kinds, p.String())
		}
		for _, r := range rules {
			switch {
			case r.Entrypoint != e.label:
			case r.Verdict == verdictAllow:
				x.Allowed += r.Count
			default:
				x.Denied += r.Count
			}
		}
		out = append(out, x)
	}
	return out
}

// FindDecision returns what the decision log remembers of a decision.
func (d *Decider) FindDecision(id string) (Record, bool) {
	for _, kept := range []*ring[Record]{&d.log.denied, &d.log.kept} {
		list := kept.newest()
		if i := slices.IndexFunc(list, func(r Record) bool { return r.ID == id && id != "" }); i >= 0 {
			return list[i], true
		}
	}
	return Record{}, false
}

// counted reads a counter.
func counted(c prometheus.Metric) float64 {
	var m dto.Metric
	if c.Write(&m) != nil {
		return 0
	}
	return m.GetCounter().GetValue()
}

func summed(c prometheus.Collector) (total float64) {
	each(c, func(m *dto.Metric) { total += m.GetCounter().GetValue() })
	return total
}

// each calls fn with every metric of c.
func each(c prometheus.Collector, fn func(*dto.Metric)) {
	ch := make(chan prometheus.Metric)
	go func() {
		defer close(ch)
		c.Collect(ch)
	}()
	for metric := range ch {
		var m dto.Metric
		if metric.Write(&m) == nil {
			fn(&m)
		}
	}
}
