package descriptors

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/quota"
)

// FindLimits implements [mesh.LimitFinder].
func (s *Set) FindLimits(_ context.Context, r *mesh.LimitRequest) error {
	clear(r.Matches)
	if r.Domain == "" {
		return &mesh.LimitRequestError{Problem: "rate limit domain must not be empty"}
	}
	if len(r.Descriptors) == 0 {
		return &mesh.LimitRequestError{Problem: "rate limit descriptor list must not be empty"}
	}
	d := s.domains[r.Domain]
	if d == nil {
		return nil
	}
	replaces := false
	r.Scratch = r.Scratch[:0]
	for i := range r.Descriptors {
		m := &r.Matches[i]
		if r.Descriptors[i].Override.Unit != mesh.UnitUnknown {
			if err := d.overrideLimit(r, i); err != nil {
				return err
			}
			continue
		}
		d.match(r, i)
		replaces = replaces || m.Rule != nil && len(m.Rule.Replaces) > 0
	}
	if replaces {
		replace(r.Matches)
	}
	for i := range r.Matches {
		if m := &r.Matches[i]; m.Charge {
			r.Scratch = identify(&m.Quota, r.Scratch)
		}
	}
	return nil
}

// match finds the rule of descriptor i and writes what is to be charged.
func (d *domain) match(r *mesh.LimitRequest, i int) {
	desc := &r.Descriptors[i]
	n, shared := &d.node, false
	for j := range desc.Entries {
		if n, _ = n.next(&desc.Entries[j]); n == nil {
			return
		}
		shared = shared || n.pattern != ""
	}
	if n.rule == nil {
		return
	}
	m := &r.Matches[i]
	m.Rule = n.rule
	if n.dynamic {
		m.Metric = d.metric(r, desc)
	}
	if n.rule.Unlimited {
		return
	}
	m.Charge = true
	m.Quota = newQuota(n.rule.Path, n.rule.Requests, n.rule.Unit, n.rule.Multiplier, desc)
	m.Quota.Shadow = n.shadow
	if shared {
		m.Quota.Key = d.sharedKey(r, desc)
		return
	}
	start := len(r.Scratch)
	for j := range desc.Entries {
		r.Scratch = appendEntry(r.Scratch, j, desc.Entries[j].Key, desc.Entries[j].Value)
	}
	m.Quota.Key = lend(r.Scratch[start:])
}

// overrideLimit takes the limit that descriptor i came with.
func (d *domain) overrideLimit(r *mesh.LimitRequest, i int) error {
	desc, m := &r.Descriptors[i], &r.Matches[i]
	o := &desc.Override
	m.Rule, m.Charge = d.override, true
	m.Quota = newQuota(d.override.Path, o.Requests, o.Unit, max(o.Multiplier, 1), desc)
	if o.Requests > 0 {
		if err := quota.Check(&m.Quota); err != nil {
			return &mesh.LimitRequestError{Problem: "the limit of a descriptor cannot be kept: " + err.Error()}
		}
	}
	start := len(r.Scratch)
	for j := range desc.Entries {
		r.Scratch = appendEntry(r.Scratch, j, desc.Entries[j].Key, desc.Entries[j].Value)
	}
	m.Quota.Key = lend(r.Scratch[start:])
	return nil
}

func newQuota(name string, requests uint32, unit mesh.LimitUnit, multiplier uint32, d *mesh.Descriptor) mesh.Quota {
	return mesh.Quota{
		Name: name, Limit: uint64(requests), Per: period(unit, multiplier),
		Cost: d.Cost, Refund: d.Refund,
		// The use of a stream is told when it has ended, and counts also if it was
		// more than was left. A single hit is no such use: it may be charged to
		// what was taken ahead of Redis, which an overdraft cannot.
		Algorithm: mesh.FixedWindow, Overdraw: d.Cost > 1,
	}
}

// period is so many units; what overflows is longer than any limit may be.
func period(unit mesh.LimitUnit, multiplier uint32) time.Duration {
	u := unit.Duration()
	if u > 0 && time.Duration(multiplier) > math.MaxInt64/u {
		return math.MaxInt64
	}
	return time.Duration(multiplier) * u
}

// replace takes away the rules that another rule of the request replaces.
func replace(matches []mesh.LimitMatch) {
	for i := range matches {
		m := &matches[i]
		if !m.Charge || m.Rule.Name == "" {
			continue
		}
		for j := range matches {
			if r := matches[j].Rule; r != nil && slices.Contains(r.Replaces, m.Rule.Name) {
				m.Charge = false
				break
			}
		}
	}
	for i := range matches {
		if m := &matches[i]; m.Rule != nil && !m.Charge && !m.Rule.Unlimited {
			*m = mesh.LimitMatch{}
		}
	}
}

// sharedKey is the key of a descriptor of which values are counted together.
func (d *domain) sharedKey(r *mesh.LimitRequest, desc *mesh.Descriptor) string {
	start, n := len(r.Scratch), &d.node
	for j := range desc.Entries {
		e := &desc.Entries[j]
		value := e.Value
		if n, _ = n.next(e); n.pattern != "" {
			value = n.pattern
		}
		r.Scratch = appendEntry(r.Scratch, j, e.Key, value)
	}
	return lend(r.Scratch[start:])
}

// metric is the path of a rule with the values that its configuration asks for.
func (d *domain) metric(r *mesh.LimitRequest, desc *mesh.Descriptor) string {
	start := len(r.Scratch)
	leaf := &d.node
	for j := range desc.Entries {
		leaf, _ = leaf.next(&desc.Entries[j])
	}
	b, n := append(r.Scratch, d.name...), &d.node
	for j := range desc.Entries {
		e := &desc.Entries[j]
		from := n
		n, _ = n.next(e)
		b = append(append(b, '.'), e.Key...)
		if v := metricValue(from, n, e, leaf.detailed); v != "" {
			b = append(append(b, '_'), v...)
		}
	}
	r.Scratch = b
	return lend(b[start:])
}

// metricValue is what the metric says of the value of e, which led from a place
// to n.
func metricValue(from, n *node, e *mesh.DescriptorEntry, detailed bool) string {
	_, kind := from.next(e)
	switch {
	case n.pattern != "": // one threshold, so one series
		return strings.TrimSuffix(n.pattern, "*")
	case detailed, n.toMetric, kind == byValue:
		return e.Value
	case kind == byWildcard:
		for i := range from.wild {
			if from.wild[i].node == n && !from.wild[i].anyKey {
				return from.wild[i].prefix + "*"
			}
		}
	}
	return ""
}

// appendEntry appends key=value. No two runs of entries come to the same bytes.
func appendEntry(b []byte, i int, key, value string) []byte {
	if i > 0 {
		b = append(b, '|')
	}
	return appendEscaped(append(appendEscaped(b, key), '='), value)
}

func appendEscaped(b []byte, s string) []byte {
	for {
		i := 0
		for i < len(s) && s[i] != '=' && s[i] != '|' && s[i] != '\\' {
			i++
		}
		b = append(b, s[:i]...)
		if i == len(s) {
			return b
		}
		b = append(b, '\\', s[i])
		s = s[i+1:]
	}
}

// identify is [mesh.Quota.Identify] in what is free of scratch.
func identify(q *mesh.Quota, scratch []byte) []byte {
	n := len(scratch)
	b := q.Identify(scratch[n:])
	if cap(b) > cap(scratch[n:]) {
		return slices.Grow(scratch, cap(b))
	}
	return scratch
}

// lend returns b as a string that aliases it.
func lend(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

var _ mesh.LimitFinder = (*Set)(nil)

// String says how many limits there are.
func (s *Set) String() string {
	return fmt.Sprintf("%d limits in %d domains", len(s.rules), len(s.domains))
}
