package storage

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Metrics are the figures of a store, read when somebody collects them.
type Metrics struct {
	meter  metric.Meter
	prefix string
	known  map[string]metric.Int64Observable
	reads  []func(metric.Observer)
	errs   []error

	registration metric.Registration
}

// NewMetrics returns those of the named store, without any figure.
func NewMetrics(provider metric.MeterProvider, store string) *Metrics {
	return &Metrics{
		meter:  provider.Meter("github.com/tallygate/tallygate/storage/" + store),
		prefix: "tallygate_storage_" + store + "_",
		known:  map[string]metric.Int64Observable{},
	}
}

// Counter adds a counter, or one more series to the counter of that name.
func (m *Metrics) Counter(name, help string, read func() int64, labels ...attribute.KeyValue) {
	m.add(name, read, labels, func(name string) (metric.Int64Observable, error) {
		return m.meter.Int64ObservableCounter(name, metric.WithDescription(help))
	})
}

// Gauge adds a gauge.
func (m *Metrics) Gauge(name, help string, read func() int64) {
	m.add(name, read, nil, func(name string) (metric.Int64Observable, error) {
		return m.meter.Int64ObservableGauge(name, metric.WithDescription(help))
	})
}

func (m *Metrics) add(name string, read func() int64, labels []attribute.KeyValue, make func(name string) (metric.Int64Observable, error)) {
	if m.known[name] == nil {
		o, err := make(m.prefix + name)
		if err != nil {
			m.errs = append(m.errs, err)
			return
		}
		m.known[name] = o
	}
	instrument, with := m.known[name], metric.WithAttributes(labels...)
	m.reads = append(m.reads, func(o metric.Observer) { o.ObserveInt64(instrument, read(), with) })
}

// Register makes the figures appear.
func (m *Metrics) Register() (err error) {
	var all []metric.Observable
	for _, o := range m.known {
		all = append(all, o)
	}
	m.registration, err = m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, read := range m.reads {
			read(o)
		}
		return nil
	}, all...)
	return errors.Join(append(m.errs, err)...)
}

// Unregister makes them go; they may not be there.
func (m *Metrics) Unregister() {
	if m != nil && m.registration != nil {
		_ = m.registration.Unregister() // of a provider that may have ended
	}
}
