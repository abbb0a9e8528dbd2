package local

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// metrics are read from the store when somebody collects them.
type metrics struct{ registration metric.Registration }

func newMetrics(provider metric.MeterProvider, s *Store) (*metrics, error) {
	meter := provider.Meter("github.com/tallygate/tallygate/storage/local")
	var errs []error
	counter := func(name, help string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter("tallygate_storage_local_"+name, metric.WithDescription(help))
		errs = append(errs, err)
		return c
	}
	gauge := func(name, help string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge("tallygate_storage_local_"+name, metric.WithDescription(help))
		errs = append(errs, err)
		return g
	}
	written := counter("written_spans", "Spans that are on disk; written again they count again.")
	refused := counter("refused_spans", "Spans of writes that were refused: no space, or the engine failed. A retry may bring them again.")
	blocks := counter("sealed_blocks", "Blocks of spans with their index.")
	expired := counter("expired_partitions", "Partitions that went because of ttl or max_bytes.")
	waiting := gauge("waiting_spans", "Spans in the log, searched one by one, that are not yet in a block.")
	size := gauge("size_bytes", "Estimated size on disk.")
	failed := gauge("failed", "1 if the engine cannot write until a restart.")
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	reg, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(written, s.Stats.Written.Load())
		o.ObserveInt64(refused, s.Stats.Refused.Load())
		o.ObserveInt64(blocks, s.Stats.Blocks.Load())
		o.ObserveInt64(expired, s.Stats.Expired.Load())
		o.ObserveInt64(waiting, int64(s.Waiting()))
		if n, err := s.size(); err == nil {
			o.ObserveInt64(size, n)
		}
		var bad int64
		if s.Failure() != nil {
			bad = 1
		}
		o.ObserveInt64(failed, bad)
		return nil
	}, written, refused, blocks, expired, waiting, size, failed)
	return &metrics{reg}, err
}

func (m *metrics) unregister() {
	if m != nil && m.registration != nil {
		_ = m.registration.Unregister()
	}
}
