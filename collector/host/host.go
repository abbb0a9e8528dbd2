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
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tallygate/tallygate/storage/local"
)

// Settings are what a Host needs beside the exporters' configuration.
type Settings struct {
	Factories []exporter.Factory    // BuiltIn if nil, with stores of its own
	Version   string                // of Tallygate; exporters send it as their user agent
	Log       *slog.Logger          // slog.Default() if nil
	Metrics   prometheus.Registerer // of the components' own metrics; none if nil

	// Extensions and Receivers are maps as that of the exporters.
	Extensions         map[string]any
	ExtensionFactories []extension.Factory // BuiltInExtensions() if nil
	Receivers          map[string]any
	ReceiverFactories  []receiver.Factory // BuiltInReceivers() if nil
}

// Host owns hosted components: New, Metrics, Traces, Receive, Start, Shutdown. A
// Host that was shut down does not start again.
type Host struct {
	settings   Settings
	exporters  section[exporter.Factory, *hosted]
	extensions section[extension.Factory, *hostedExtension]
	receivers  section[receiver.Factory, *hostedReceiver]
	telemetry  *telemetry
	started    []component.Component
	running    extensions
}

// New validates the configuration and allocates. exporters is the map from
// "type" or "type/name" to that exporter's section. The error joins every
// problem, each with its key path: exporters::otlp/x::endpoint.
func New(exporters map[string]any, s Settings) (*Host, error) {
	if s.ExtensionFactories == nil {
		s.ExtensionFactories = BuiltInExtensions()
	}
	if s.ReceiverFactories == nil {
		s.ReceiverFactories = BuiltInReceivers()
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	if s.Factories == nil {
		s.Factories = BuiltIn(local.NewStores(s.Log))
	}
	h := &Host{settings: s, telemetry: newTelemetry(s.Metrics), running: extensions{}}
	h.exporters = section[exporter.Factory, *hosted]{name: "exporters", known: newFactories(s.Factories)}
	h.extensions = section[extension.Factory, *hostedExtension]{name: "extensions", known: newFactories(s.ExtensionFactories)}
	h.receivers = section[receiver.Factory, *hostedReceiver]{name: "receivers", known: newFactories(s.ReceiverFactories)}
	return h, errors.Join(
		h.exporters.add(exporters, func(f exporter.Factory, id component.ID, cfg component.Config) *hosted {
			return &hosted{factory: f, config: cfg, settings: exporter.Settings{ID: id, BuildInfo: h.build(), TelemetrySettings: h.telemetrySettings("exporter", id)}}
		}),
		h.extensions.add(s.Extensions, func(f extension.Factory, id component.ID, cfg component.Config) *hostedExtension {
			return &hostedExtension{factory: f, config: cfg, settings: extension.Settings{ID: id, BuildInfo: h.build(), TelemetrySettings: h.telemetrySettings("extension", id)}}
		}),
		h.receivers.add(s.Receivers, func(f receiver.Factory, id component.ID, cfg component.Config) *hostedReceiver {
			return &hostedReceiver{factory: f, config: cfg, settings: receiver.Settings{ID: id, BuildInfo: h.build(), TelemetrySettings: h.telemetrySettings("receiver", id)}}
		}),
	)
}

func (h *Host) build() component.BuildInfo {
	return component.BuildInfo{Command: "tallygate", Description: "Tallygate", Version: h.settings.Version}
}

func (h *Host) telemetrySettings(kind string, id component.ID) component.TelemetrySettings {
	return component.TelemetrySettings{
		Logger:         newZap(h.settings.Log.With(kind, id.String())),
		TracerProvider: noop.NewTracerProvider(),
		MeterProvider:  h.telemetry.provider(),
		Resource:       pcommon.NewResource(),
	}
}

// section is a part of the configuration that is a map from id to component.
type section[F component.Factory, C any] struct {
	name  string
	known factories[F]
	of    map[component.ID]C
	order []component.ID
}

func (sec *section[F, C]) add(configs map[string]any, build func(F, component.ID, component.Config) C) error {
	sec.of = map[component.ID]C{}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(configs)) {
		id, factory, cfg, err := sec.load(key, configs[key])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		sec.of[id] = build(factory, id, cfg)
		sec.order = append(sec.order, id)
	}
	return errors.Join(errs...)
}

func (sec *section[F, C]) load(key string, raw any) (id component.ID, factory F, cfg component.Config, err error) {
	fail := func(err error) (component.ID, F, component.Config, error) {
		return id, factory, nil, fmt.Errorf("%s::%s: %w", sec.name, key, err)
	}
	if err := id.UnmarshalText([]byte(key)); err != nil {
		return fail(err)
	}
	if factory, err = sec.known.find(id.Type()); err != nil {
		return fail(err)
	}
	cfg = factory.CreateDefaultConfig()
	if err := load(raw, cfg); err != nil {
		return fail(err)
	}
	// In a map, so that the paths in the errors begin with it.
	return id, factory, cfg, confmap.Validate(map[string]any{sec.name: map[string]any{key: cfg}})
}

// find returns the component with the given id.
func (sec *section[F, C]) find(id string) (c C, err error) {
	kind := sec.name[:len(sec.name)-1]
	var cid component.ID
	if err := cid.UnmarshalText([]byte(id)); err != nil {
		return c, fmt.Errorf("%s %q: %w", kind, id, err)
	}
	if c, ok := sec.of[cid]; ok {
		return c, nil
	}
	return c, fmt.Errorf("%s %q is not configured under %s; there are %v", kind, id, sec.name, sec.order)
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

// Start starts every extension and the exporters that were asked for. If one
// fails, those before it are shut down again. ctx bounds the start only.
func (h *Host) Start(ctx context.Context) error {
	if err := h.telemetry.register(); err != nil {
		return fmt.Errorf("metrics of exporters: %w", err)
	}
	fail := func(kind string, id component.ID, err error) error {
		return errors.Join(fmt.Errorf("%s %q: starting: %w", kind, id, err), h.Shutdown(ctx))
	}
	for _, id := range h.extensions.order {
		c, err := h.extensions.of[id].create(ctx)
		if err == nil {
			err = c.Start(ctx, h.running)
		}
		if err != nil {
			return fail("extension", id, err)
		}
		h.running[id] = c
	}
	for _, id := range h.exporters.order {
		for _, c := range h.exporters.of[id].components() {
			if err := c.Start(ctx, h.running); err != nil {
				return fail("exporter", id, err)
			}
			h.started = append(h.started, c)
		}
	}
	return nil
}

// Shutdown stops the receivers, drains the queues of the exporters and stops
// them, and then the extensions. When ctx ends it returns, whatever still runs.
func (h *Host) Shutdown(ctx context.Context) error {
	err := h.stopReceivers(ctx)
	err = errors.Join(err, shutdown(ctx, h.started, "an exporter"))
	var exts []component.Component
	for _, c := range h.running {
		exts = append(exts, c)
	}
	err = errors.Join(err, shutdown(ctx, exts, "an extension"))
	h.started, h.running = nil, extensions{}
	h.telemetry.unregister()
	return err
}

// shutdown stops components at once: each may take all the time that there is.
func shutdown(ctx context.Context, list []component.Component, what string) error {
	done := make(chan error, len(list))
	for _, c := range list {
		go func() { done <- c.Shutdown(ctx) }()
	}
	var errs []error
	for range list {
		select {
		case err := <-done:
			if err != nil {
				errs = append(errs, fmt.Errorf("shutting down %s: %w", what, err))
			}
		case <-ctx.Done():
			return errors.Join(append(errs, fmt.Errorf("shutting down %s: %w", what, ctx.Err()))...)
		}
	}
	return errors.Join(errs...)
}
