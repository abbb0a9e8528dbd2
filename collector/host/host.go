package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/otel/trace/noop"
)

// Settings are what a Host needs beside the exporters' configuration.
type Settings struct {
	Factories []exporter.Factory    // BuiltIn() if nil
	Version   string                // of Tallygate; exporters send it as their user agent
	Log       *slog.Logger          // slog.Default() if nil
	Metrics   prometheus.Registerer // of the exporters' own metrics; none if nil
}

// Host owns hosted exporters: New, Start, Metrics, Shutdown. A Host that was
// shut down does not start again.
type Host struct {
	exporters map[component.ID]*hosted
	order     []component.ID
	telemetry *telemetry
	started   []component.Component
}

// hosted is one configured exporter; it is made for the signals that are asked
// of it.
type hosted struct {
	factory  exporter.Factory
	config   component.Config
	settings exporter.Settings
	metrics  exporter.Metrics
}

// New validates the configuration and allocates. exporters is the map from
// "type" or "type/name" to that exporter's section. The error joins every
// problem, each with its key path: exporters::otlp/x::endpoint.
func New(exporters map[string]any, s Settings) (*Host, error) {
	if s.Factories == nil {
		s.Factories = BuiltIn()
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	known := newFactories(s.Factories)
	h := &Host{exporters: map[component.ID]*hosted{}, telemetry: newTelemetry(s.Metrics)}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(exporters)) {
		if err := h.add(key, exporters[key], known, s); err != nil {
			errs = append(errs, err)
		}
	}
	return h, errors.Join(errs...)
}

func (h *Host) add(key string, section any, known factories, s Settings) error {
	var id component.ID
	if err := id.UnmarshalText([]byte(key)); err != nil {
		return fmt.Errorf("exporters::%s: %w", key, err)
	}
	factory, err := known.find(id.Type())
	if err != nil {
		return fmt.Errorf("exporters::%s: %w", key, err)
	}
	cfg := factory.CreateDefaultConfig()
	if err := load(section, cfg); err != nil {
		return fmt.Errorf("exporters::%s: %w", key, err)
	}
	// In a map, so that the paths in the errors begin with it.
	if err := confmap.Validate(map[string]any{"exporters": map[string]any{key: cfg}}); err != nil {
		return err
	}
	set := exporter.Settings{ID: id, BuildInfo: component.BuildInfo{
		Command:     "tallygate",
		Description: "Tallygate",
		Version:     s.Version,
	}}
	set.Logger = newZap(s.Log.With("exporter", key))
	set.TracerProvider = noop.NewTracerProvider()
	set.MeterProvider = h.telemetry.provider()
	set.Resource = pcommon.NewResource()
	h.exporters[id] = &hosted{factory: factory, config: cfg, settings: set}
	h.order = append(h.order, id)
	return nil
}

func load(section any, cfg component.Config) error {
	m, ok := section.(map[string]any)
	if !ok && section != nil {
		return fmt.Errorf("want a section of keys, got %T", section)
	}
	if err := confmap.NewFromStringMap(m).Unmarshal(cfg); err != nil {
		return fmt.Errorf("reading the section: %w", err)
	}
	return nil
}

// Metrics returns the exporter with the given id as a consumer of metrics. It
// must be called before Start; the consumer works between Start and Shutdown.
func (h *Host) Metrics(id string) (consumer.Metrics, error) {
	e, err := h.find(id)
	if err != nil {
		return nil, err
	}
	if e.metrics == nil {
		m, err := e.factory.CreateMetrics(context.Background(), e.settings, e.config)
		if errors.Is(err, pipeline.ErrSignalNotSupported) {
			return nil, fmt.Errorf("exporter %q does not take metrics", id)
		}
		if err != nil {
			return nil, fmt.Errorf("exporter %q: creating it for metrics: %w", id, err)
		}
		e.metrics = m
	}
	return e.metrics, nil
}

func (h *Host) find(id string) (*hosted, error) {
	var cid component.ID
	if err := cid.UnmarshalText([]byte(id)); err != nil {
		return nil, fmt.Errorf("exporter %q: %w", id, err)
	}
	if e, ok := h.exporters[cid]; ok {
		return e, nil
	}
	return nil, fmt.Errorf("exporter %q is not configured under exporters; there are %v", id, h.order)
}

// Start starts the exporters that were asked for. If one fails, those before it
// are shut down again. ctx bounds the start only.
func (h *Host) Start(ctx context.Context) error {
	if err := h.telemetry.register(); err != nil {
		return fmt.Errorf("metrics of exporters: %w", err)
	}
	for _, id := range h.order {
		for _, c := range h.exporters[id].components() {
			if err := c.Start(ctx, bare{}); err != nil {
				return errors.Join(fmt.Errorf("exporter %q: starting: %w", id, err), h.Shutdown(ctx))
			}
			h.started = append(h.started, c)
		}
	}
	return nil
}

// Shutdown drains the queues of the started exporters and stops them, at the
// latest when ctx ends.
func (h *Host) Shutdown(ctx context.Context) error {
	errs := make([]error, len(h.started))
	done := make(chan struct{})
	for i, c := range h.started { // at once: each may take all the time that there is
		go func() {
			defer func() { done <- struct{}{} }()
			if err := c.Shutdown(ctx); err != nil {
				errs[i] = fmt.Errorf("shutting down an exporter: %w", err)
			}
		}()
	}
	for range h.started {
		<-done
	}
	h.started = nil
	h.telemetry.unregister()
	return errors.Join(errs...)
}

func (e *hosted) components() []component.Component {
	if e.metrics == nil {
		return nil
	}
	return []component.Component{e.metrics}
}

// bare is the component.Host of a process without extensions.
type bare struct{}

func (bare) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{}
}
