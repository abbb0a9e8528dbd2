package main

import (
	"go.opentelemetry.io/collector/exporter"

	"github.com/tallygate/tallygate/collector/host"
	"github.com/tallygate/tallygate/exporters/jaeger"
	"github.com/tallygate/tallygate/storage/cassandra"
	"github.com/tallygate/tallygate/storage/local"
)

// exporterFactories are the exporters that may be configured: the Collector's and
// ours. stores are the directories that are open; nil is enough to check a
// configuration.
func exporterFactories(stores *local.Stores) []exporter.Factory {
	return append(host.BuiltIn(), jaeger.NewFactory(), cassandra.NewFactory(), local.NewFactory(stores))
}
