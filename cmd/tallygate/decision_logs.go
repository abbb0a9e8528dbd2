package main

import (
	"context"
	"errors"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/opa"
)

// logDecision hands a record to OPA's decision_logs plugin. It is called by the
// worker of the decision log.
func (p *policing) logDecision(ctx context.Context, r *policy.Record, v *mesh.Verdict) error {
	l := p.loader.Load()
	if l == nil {
		return opa.ErrNoDecisionLogs
	}
	ev := &opa.Event{
		ID: r.ID, TraceID: r.TraceID, Entrypoint: r.Entrypoint, Revision: r.Revision, Time: r.Time, Input: r.Input,
		Custom: map[string]any{
			"listener": r.Listener, "verdict": r.Verdict, "rule": r.Rule, "cache_hit": r.Hit, "duration_us": r.Micros,
		},
	}
	if v == nil {
		ev.Err = errors.New(r.Reason)
		return l.LogDecision(ctx, ev)
	}
	result := map[string]any{"allowed": v.Allowed}
	if v.Status != 0 {
		result["http_status"] = v.Status
	}
	if v.Reason != "" {
		result["reason"] = v.Reason
	}
	ev.Result = result
	return l.LogDecision(ctx, ev)
}
