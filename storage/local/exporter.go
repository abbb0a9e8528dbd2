package local

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

// traces is the exporter.
type traces struct {
	cfg    *Config
	stores *Stores
	set    exporter.Settings
	store  *Handle
	m      *storage.Metrics
}

func (e *traces) start(context.Context, component.Host) (err error) {
	if e.store, err = e.stores.Open(e.cfg); err != nil {
		return err
	}
	e.m, err = newMetrics(e.set.MeterProvider, e.store.Store)
	return err
}

// push returns nil once the spans are on disk. Its errors are all worth a retry:
// there may be space again.
func (e *traces) push(ctx context.Context, td ptrace.Traces) error {
	return e.store.Write(ctx, jaegermodel.FromTraces(td))
}

func (e *traces) shutdown(context.Context) error {
	if e.store == nil {
		return nil
	}
	e.m.Unregister()
	return e.store.Close()
}
