package opa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/plugins/logs"
	"github.com/open-policy-agent/opa/v1/server"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/util"
)

// Event is a decision for OPA's decision_logs plugin.
type Event struct {
	ID         string
	TraceID    string
	Entrypoint string // by its name; what has none is the default one
	Revision   string
	Time       time.Time
	Input      json.RawMessage // nil for none
	Result     any             // as JSON has it
	Err        error           // why there is no result
	Custom     map[string]any
}

// ErrNoDecisionLogs is returned where OPA's configuration has no decision_logs.
var ErrNoDecisionLogs = errors.New("opa_config has no decision_logs")

// LogsDecisions reports whether LogDecision has somewhere to go.
func (l *Loader) LogsDecisions() bool {
	return l.bundles != nil && logs.Lookup(l.bundles.manager) != nil
}

// LogDecision hands ev to OPA's decision_logs plugin, which runs the drop and
// mask policies of the bundles, buffers, and uploads. It evaluates policies:
// call it from a worker, never while a proxy waits.
func (l *Loader) LogDecision(ctx context.Context, ev *Event) error {
	if !l.LogsDecisions() {
		return ErrNoDecisionLogs
	}
	m := l.bundles.manager
	rule, ok := l.cfg.Entrypoints[ev.Entrypoint]
	if !ok {
		rule = l.cfg.Entrypoint
	}
	info := &server.Info{
		DecisionID: ev.ID,
		TraceID:    ev.TraceID,
		Revision:   ev.Revision,
		Path:       strings.ReplaceAll(strings.TrimPrefix(rule, "data."), ".", "/"),
		Timestamp:  ev.Time,
		Error:      ev.Err,
		Custom:     ev.Custom,
	}
	if ev.Input != nil {
		var input any
		if err := util.UnmarshalJSON(ev.Input, &input); err != nil {
			return fmt.Errorf("reading the input of decision %s: %w", ev.ID, err)
		}
		info.Input = &input
	}
	if ev.Err == nil {
		info.Results = &ev.Result
	}
	return storage.Txn(ctx, m.Store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		info.Txn = txn
		return logs.Lookup(m).Log(ctx, info)
	})
}
