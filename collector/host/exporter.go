package host

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pipeline"
)

// hosted is one configured exporter; it is made for the signals that are asked
// of it.
type hosted struct {
	factory  exporter.Factory
	config   component.Config
	settings exporter.Settings
	metrics  exporter.Metrics
	traces   exporter.Traces
}

func (e *hosted) components() (list []component.Component) {
	if e.metrics != nil {
		list = append(list, e.metrics)
	}
	if e.traces != nil {
		list = append(list, e.traces)
	}
	return list
}

// Metrics returns the exporter with the given id as a consumer of metrics. It
// must be called before Start; the consumer works between Start and Shutdown.
func (h *Host) Metrics(id string) (consumer.Metrics, error) {
	e, err := h.exporters.find(id)
	if err != nil {
		return nil, err
	}
	if e.metrics == nil {
		m, err := e.factory.CreateMetrics(context.Background(), e.settings, e.config)
		if err != nil {
			return nil, refusal(id, "metrics", err)
		}
		e.metrics = m
	}
	return e.metrics, nil
}

// Traces is Metrics for spans.
func (h *Host) Traces(id string) (consumer.Traces, error) {
	e, err := h.exporters.find(id)
	if err != nil {
		return nil, err
	}
	if e.traces == nil {
		t, err := e.factory.CreateTraces(context.Background(), e.settings, e.config)
		if err != nil {
			return nil, refusal(id, "spans", err)
		}
		e.traces = t
	}
	return e.traces, nil
}

func refusal(id, what string, err error) error {
	if errors.Is(err, pipeline.ErrSignalNotSupported) {
		return fmt.Errorf("exporter %q does not take %s", id, what)
	}
	return fmt.Errorf("exporter %q: creating it for %s: %w", id, what, err)
}

// WithQueue returns an exporter's section with a sending_queue that it does not
// have, if exporters of its type may have one.
func WithQueue(id string, section any, queue map[string]any, known []exporter.Factory) any {
	var cid component.ID
	m, ok := section.(map[string]any)
	if !ok && section != nil || m["sending_queue"] != nil || cid.UnmarshalText([]byte(id)) != nil {
		return section
	}
	if known == nil {
		known = BuiltIn(nil)
	}
	factory, err := newFactories(known).find(cid.Type())
	if err != nil {
		return section
	}
	out := map[string]any{"sending_queue": queue}
	for k, v := range m {
		out[k] = v
	}
	if confmap.NewFromStringMap(map[string]any{"sending_queue": queue}).Unmarshal(factory.CreateDefaultConfig()) != nil {
		return section
	}
	return out
}
