package host

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/prometheusremotewriteexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
)

// BuiltIn returns the factories of the exporters that come with Tallygate.
func BuiltIn() []exporter.Factory {
	return []exporter.Factory{
		debugexporter.NewFactory(),
		otlpexporter.NewFactory(),
		otlphttpexporter.NewFactory(),
		prometheusremotewriteexporter.NewFactory(),
	}
}

// factories finds a factory by its type or by the name that the type had.
type factories map[component.Type]exporter.Factory

func newFactories(list []exporter.Factory) factories {
	fs := factories{}
	for _, f := range list {
		fs[f.Type()] = f
		if old, ok := f.(interface{ DeprecatedAlias() component.Type }); ok && old.DeprecatedAlias().String() != "" {
			fs[old.DeprecatedAlias()] = f
		}
	}
	return fs
}

func (fs factories) find(t component.Type) (exporter.Factory, error) {
	if f, ok := fs[t]; ok {
		return f, nil
	}
	names := make([]string, 0, len(fs))
	for _, known := range slices.SortedFunc(maps.Keys(fs), func(a, b component.Type) int {
		return strings.Compare(a.String(), b.String())
	}) {
		names = append(names, known.String())
	}
	return nil, fmt.Errorf("unknown type %q; known are %s", t, strings.Join(names, ", "))
}
