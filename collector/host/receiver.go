package host

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/collector/receiver"
)

type hostedReceiver struct {
	factory  receiver.Factory
	config   component.Config
	settings receiver.Settings
	running  component.Component
}

// Receivers returns the ids of the configured receivers.
func (h *Host) Receivers() (ids []string) {
	for _, id := range h.receivers.order {
		ids = append(ids, id.String())
	}
	return ids
}

// Receive starts a receiver that hands its spans to next. It may be called after
// Start; it listens when Receive returns.
func (h *Host) Receive(ctx context.Context, id string, next consumer.Traces) error {
	r, err := h.receivers.find(id)
	if err != nil {
		return err
	}
	c, err := r.factory.CreateTraces(ctx, r.settings, r.config, next)
	if errors.Is(err, pipeline.ErrSignalNotSupported) {
		return fmt.Errorf("receiver %q does not take spans", id)
	}
	if err == nil {
		err = c.Start(ctx, h.running)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("receiver %q: starting: %w", id, err), closeQuietly(ctx, c))
	}
	r.running = c
	return nil
}

// closeQuietly releases what a receiver that could not start may have opened.
func closeQuietly(ctx context.Context, c component.Component) error {
	if c != nil {
		_ = c.Shutdown(ctx)
	}
	return nil
}

// StopReceivers stops listening; what was received has been handed on.
func (h *Host) StopReceivers(ctx context.Context) error { return h.stopReceivers(ctx) }

func (h *Host) stopReceivers(ctx context.Context) error {
	var list []component.Component
	for _, r := range h.receivers.of {
		if r.running != nil {
			list = append(list, r.running)
			r.running = nil
		}
	}
	return shutdown(ctx, list, "a receiver")
}
