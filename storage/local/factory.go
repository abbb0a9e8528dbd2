package local

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// Type is the type of the exporter in a configuration.
var Type = component.MustNewType("local")

// NewFactory returns the factory of the exporter. Exporters, and readers, of the
// same stores share open directories; nil is a set of its own.
func NewFactory(stores *Stores) exporter.Factory {
	if stores == nil {
		stores = NewStores(slog.Default())
	}
	return exporter.NewFactory(Type,
		func() component.Config { return DefaultConfig() },
		exporter.WithTraces(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
			return newExporter(ctx, set, cfg.(*Config), stores)
		}, component.StabilityLevelBeta))
}

func newExporter(ctx context.Context, set exporter.Settings, cfg *Config, stores *Stores) (exporter.Traces, error) {
	e := &traces{cfg: cfg, stores: stores, set: set}
	return exporterhelper.NewTraces(ctx, set, cfg, e.push,
		exporterhelper.WithStart(e.start),
		exporterhelper.WithShutdown(e.shutdown),
		exporterhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}),
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{}),
		exporterhelper.WithRetry(cfg.BackOffConfig),
		exporterhelper.WithQueue(cfg.QueueConfig),
	)
}
