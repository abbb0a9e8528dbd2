package policy

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// Limits finds rate limits by asking a policy, once for each descriptor, through
// the decision cache. It implements [mesh.LimitFinder].
//
// The input is domain, descriptor (an object of the entries, of equal keys the
// last), entries (an array of key and value) and hits_addend. An allowance names
// at most one quota, whose cost is multiplied by the hits; without a quota nothing
// limits the descriptor, and a denial refuses it.
type Limits struct {
	decider    mesh.Decider
	entrypoint string
}

// NewLimits returns the limits that an entrypoint of d finds.
func NewLimits(d mesh.Decider, entrypoint string) *Limits { return &Limits{d, entrypoint} }

// FindLimits implements [mesh.LimitFinder].
func (l *Limits) FindLimits(ctx context.Context, r *mesh.LimitRequest) error {
	clear(r.Matches)
	switch {
	case r.Domain == "":
		return &mesh.LimitRequestError{Problem: "rate limit domain must not be empty"}
	case len(r.Descriptors) == 0:
		return &mesh.LimitRequestError{Problem: "rate limit descriptor list must not be empty"}
	}
	lens := &descriptorLens{domain: r.Domain}
	q := &mesh.Query{Entrypoint: l.entrypoint, Listener: mesh.ListenerRateLimit, Request: lens, Uncharged: true}
	for i := range r.Descriptors {
		lens.d = &r.Descriptors[i]
		d, err := l.decider.Decide(ctx, q)
		if err == nil {
			err = match(&r.Matches[i], d.Verdict, lens.d)
		}
		if err != nil {
			return fmt.Errorf("descriptor %d: %w", i, err)
		}
	}
	return nil
}

// refusal is the rule of descriptors that a policy denies.
const refusal = "denied"

// match writes what a verdict comes to.
func match(m *mesh.LimitMatch, v *mesh.Verdict, d *mesh.Descriptor) error {
	switch {
	case v.Allowed && len(v.Quotas) == 0:
		return nil
	case len(v.Quotas) > 1:
		return fmt.Errorf("the policy names %d quotas; a descriptor has one", len(v.Quotas))
	}
	rule, ok := v.Rendered[mesh.ListenerRateLimit].Load().(*mesh.LimitRule)
	if !ok {
		rule = ruleOf(v)
		v.Rendered[mesh.ListenerRateLimit].Store(rule)
	}
	m.Rule, m.Charge = rule, true
	if v.Allowed {
		m.Quota = v.Quotas[0]
		m.Quota.Cost *= min(d.Cost, math.MaxUint64/max(m.Quota.Cost, 1))
		m.Quota.Refund, m.Quota.Overdraw = d.Refund, d.Cost > 1
		return nil
	}
	m.Quota = mesh.Quota{Name: refusal, Cost: d.Cost, Refund: d.Refund}
	return nil
}

func ruleOf(v *mesh.Verdict) *mesh.LimitRule {
	if !v.Allowed {
		return &mesh.LimitRule{Path: refusal, Multiplier: 1}
	}
	q := &v.Quotas[0]
	r := &mesh.LimitRule{Path: q.Name, Requests: uint32(min(q.Limit, math.MaxUint32)), Multiplier: 1}
	for _, u := range []mesh.LimitUnit{mesh.UnitYear, mesh.UnitMonth, mesh.UnitWeek, mesh.UnitDay, mesh.UnitHour, mesh.UnitMinute, mesh.UnitSecond} {
		if d := u.Duration(); q.Per >= d && q.Per%d == 0 {
			r.Unit, r.Multiplier = u, uint32(q.Per/d)
			return r
		}
	}
	// The protocol has no other units: say how many there are in a second.
	if q.Per < time.Second {
		r.Unit, r.Requests = mesh.UnitSecond, uint32(min(float64(q.Limit)*float64(time.Second)/float64(q.Per), math.MaxUint32))
	}
	return r
}

// descriptorLens is a descriptor as the input of a policy.
type descriptorLens struct {
	domain string
	d      *mesh.Descriptor
}

func str(s string) mesh.Value { return mesh.Value{Kind: mesh.KindString, Text: s} }

// Lookup implements [mesh.Request].
func (l *descriptorLens) Lookup(p mesh.Path) (mesh.Value, bool) {
	if len(p) == 0 {
		var fields []mesh.Field
		for _, name := range []string{"descriptor", "domain", "entries", "hits_addend"} {
			v, _ := l.Lookup(mesh.Path{name})
			fields = append(fields, mesh.Field{Name: name, Value: v})
		}
		return mesh.Value{Kind: mesh.KindObject, Fields: fields}, true
	}
	switch p[0] {
	case "domain":
		return str(l.domain), len(p) == 1
	case "hits_addend":
		return mesh.Value{Kind: mesh.KindNumber, Text: strconv.FormatUint(l.d.Cost, 10)}, len(p) == 1
	case "descriptor":
		return l.descriptor(p[1:])
	case "entries":
		return l.entries(p[1:])
	}
	return mesh.Value{}, false
}

// descriptor returns the entries as an object: the last of each key.
func (l *descriptorLens) descriptor(p mesh.Path) (mesh.Value, bool) {
	if len(p) > 0 {
		for i := len(l.d.Entries) - 1; i >= 0; i-- {
			if e := &l.d.Entries[i]; e.Key == p[0] {
				return str(e.Value), len(p) == 1
			}
		}
		return mesh.Value{}, false
	}
	last := make(map[string]string, len(l.d.Entries))
	for _, e := range l.d.Entries {
		last[e.Key] = e.Value
	}
	v := mesh.Value{Kind: mesh.KindObject}
	for _, key := range slices.Sorted(maps.Keys(last)) {
		v.Fields = append(v.Fields, mesh.Field{Name: key, Value: str(last[key])})
	}
	return v, true
}

func (l *descriptorLens) entries(p mesh.Path) (mesh.Value, bool) {
	entry := func(e *mesh.DescriptorEntry) mesh.Value {
		return mesh.Value{Kind: mesh.KindObject, Fields: []mesh.Field{{Name: "key", Value: str(e.Key)}, {Name: "value", Value: str(e.Value)}}}
	}
	if len(p) == 0 {
		v := mesh.Value{Kind: mesh.KindArray}
		for i := range l.d.Entries {
			v.Elems = append(v.Elems, entry(&l.d.Entries[i]))
		}
		return v, true
	}
	i, err := strconv.Atoi(p[0])
	if err != nil || i < 0 || i >= len(l.d.Entries) || strconv.Itoa(i) != p[0] {
		return mesh.Value{}, false
	}
	switch e := &l.d.Entries[i]; {
	case len(p) == 1:
		return entry(e), true
	case len(p) == 2 && p[1] == "key":
		return str(e.Key), true
	case len(p) == 2 && p[1] == "value":
		return str(e.Value), true
	}
	return mesh.Value{}, false
}
