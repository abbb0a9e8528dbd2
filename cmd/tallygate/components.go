package main

import (
	"go.opentelemetry.io/collector/exporter"

	"github.com/tallygate/tallygate/collector/host"
)

// exporterFactories are the exporters that may be configured: the Collector's and
// ours.
func exporterFactories() []exporter.Factory { return host.BuiltIn() }
