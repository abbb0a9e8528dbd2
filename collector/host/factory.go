package host

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/prometheusremotewriteexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/zipkinreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"

	"github.com/tallygate/tallygate/exporters/jaeger"
	"github.com/tallygate/tallygate/storage/cassandra"
	"github.com/tallygate/tallygate/storage/local"
)

// BuiltIn returns the factories of the exporters that come with Tallygate: the
// Collector's and ours. stores are the directories that local exporters share with
// whoever reads them; nil is enough to check a configuration.
func BuiltIn(stores *local.Stores) []exporter.Factory {
	return []exporter.Factory{
		debugexporter.NewFactory(),
		otlpexporter.NewFactory(),
		otlphttpexporter.NewFactory(),
		prometheusremotewriteexporter.NewFactory(),
		jaeger.NewFactory(),
		cassandra.NewFactory(),
		local.NewFactory(stores),
	}
}

// BuiltInExtensions returns the factories of the extensions that come with
// Tallygate.
func BuiltInExtensions() []extension.Factory { return []extension.Factory{filestorage.NewFactory()} }

// BuiltInReceivers returns the factories of the receivers that come with
// Tallygate.
func BuiltInReceivers() []receiver.Factory {
	return []receiver.Factory{otlpreceiver.NewFactory(), zipkinreceiver.NewFactory()}
}

// factories finds a factory by its type or by the name that the type had.
type factories[F component.Factory] map[component.Type]F

func newFactories[F component.Factory](list []F) factories[F] {
	fs := factories[F]{}
	for _, f := range list {
		fs[f.Type()] = f
		if old, ok := any(f).(interface{ DeprecatedAlias() component.Type }); ok && old.DeprecatedAlias().String() != "" {
			fs[old.DeprecatedAlias()] = f
		}
	}
	return fs
}

func (fs factories[F]) find(t component.Type) (f F, err error) {
	if f, ok := fs[t]; ok {
		return f, nil
	}
	names := make([]string, 0, len(fs))
	for _, known := range slices.SortedFunc(maps.Keys(fs), func(a, b component.Type) int {
		return strings.Compare(a.String(), b.String())
	}) {
		names = append(names, known.String())
	}
	return f, fmt.Errorf("unknown type %q; known are %s", t, strings.Join(names, ", "))
}
