package dist

import (
	"errors"
	"log/slog"

	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"

	"github.com/tallygate/tallygate/collector/host"
	"github.com/tallygate/tallygate/storage/local"
)

// Components returns the factories of the distribution. Add to them what else
// there is to be.
func Components() (otelcol.Factories, error) {
	receivers, err1 := otelcol.MakeFactoryMap(append([]receiver.Factory{NewALSFactory()}, host.BuiltInReceivers()...)...)
	exporters, err2 := otelcol.MakeFactoryMap(host.BuiltIn(local.NewStores(slog.Default()))...)
	extensions, err3 := otelcol.MakeFactoryMap(host.BuiltInExtensions()...)
	return otelcol.Factories{
		Receivers:  receivers,
		Exporters:  exporters,
		Extensions: extensions,
		Telemetry:  otelconftelemetry.NewFactory(),
	}, errors.Join(err1, err2, err3)
}
