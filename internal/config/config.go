package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	promexp "github.com/tallygate/tallygate/exporters/prometheus"
	"github.com/tallygate/tallygate/exporters/push"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/als"
	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/telemetry"
	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/red"
)

// Config is the whole configuration.
type Config struct {
	// Log is what Tallygate writes to standard error.
	Log telemetry.LogConfig `mapstructure:"log"`
	// Labels are further metric labels, each from an access-log custom tag; a label's tag is its own name unless said otherwise.
	Labels []mesh.CustomLabel `mapstructure:"labels"`
	// Ingest is what proxies connect to.
	Ingest Ingest `mapstructure:"ingest"`
	// RED is the table of rate, errors and duration: which families, labels and buckets there are and how many series.
	RED red.Config `mapstructure:"red"`
	// Prometheus is the endpoint /metrics of the mesh's metrics and their books.
	Prometheus Prometheus `mapstructure:"prometheus"`
	// Exporters are OpenTelemetry Collector exporters in the Collector's own YAML, by id: otlp, otlphttp, prometheusremotewrite, debug.
	Exporters map[string]any `mapstructure:"exporters"`
	// Push sends the mesh's metrics to exporters.
	Push push.Config `mapstructure:"push"`
	// Admin is the endpoint for the people and machines that run Tallygate.
	Admin admin.Config `mapstructure:"admin"`
	// Drain says how long a graceful stop may take.
	Drain Drain `mapstructure:"drain"`
}

// Ingest is the ingest section.
type Ingest struct {
	// ALS takes Envoy's access logs over gRPC.
	ALS ALS `mapstructure:"als"`
}

// ALS is the ingest.als section: the listener and what is done with the logs.
type ALS struct {
	ingest.GRPCConfig `mapstructure:",squash"`
	als.Config        `mapstructure:",squash"`
}

// Validate returns every problem of both parts.
func (c *ALS) Validate() error { return errors.Join(c.GRPCConfig.Validate(), c.Config.Validate()) }

// Prometheus is the prometheus section: the listener and what it serves.
type Prometheus struct {
	ingest.HTTPConfig `mapstructure:",squash"`
	promexp.Config    `mapstructure:",squash"`
}

// Validate returns every problem of both parts.
func (c *Prometheus) Validate() error {
	return errors.Join(c.HTTPConfig.Validate(), c.Config.Validate())
}

// Drain is the drain section.
type Drain struct {
	// Timeout is the longest that streams, and then pushes, may take to finish.
	Timeout time.Duration `mapstructure:"timeout"`
	// FinalScrape is the longest that /metrics waits for one more scrape after the last count. 0 does not wait.
	FinalScrape time.Duration `mapstructure:"final_scrape"`
}

// DefaultConfig returns the configuration that nobody configured: everything on
// loopback.
func DefaultConfig() Config {
	return Config{
		Log: telemetry.DefaultLogConfig(),
		Ingest: Ingest{ALS: ALS{
			GRPCConfig: ingest.DefaultGRPCConfig("127.0.0.1:9001"),
			Config:     als.DefaultConfig(),
		}},
		RED: red.DefaultConfig(),
		Prometheus: Prometheus{
			HTTPConfig: ingest.DefaultHTTPConfig("127.0.0.1:9464"),
			Config:     promexp.DefaultConfig(),
		},
		Push:  push.DefaultConfig(),
		Admin: admin.DefaultConfig(),
		Drain: Drain{Timeout: 10 * time.Second, FinalScrape: 20 * time.Second},
	}
}

// Validate returns every problem as [Problems].
func (c *Config) Validate() error {
	var ps Problems
	ps.addError("log", c.Log.Validate())
	ps.addError("labels", red.ValidateCustomLabels(c.Labels))
	ps.addError("ingest.als", c.Ingest.ALS.Validate())
	ps.addError("red", c.RED.Validate())
	ps.addError("red", c.RED.ValidateLabels(c.Labels))
	ps.addError("prometheus", c.Prometheus.Validate())
	ps.addError("push", c.Push.Validate())
	ps.addError("admin", c.Admin.Validate())
	for i, id := range c.Push.Exporters {
		if _, ok := c.Exporters[id]; !ok {
			ps.add(fmt.Sprintf("push.exporters[%d]", i), "there is no %q in exporters", id)
		}
	}
	if c.Drain.Timeout <= 0 {
		ps.add("drain.timeout", "%s is not more than 0", c.Drain.Timeout)
	}
	if c.Drain.FinalScrape < 0 {
		ps.add("drain.final_scrape", "%s is negative", c.Drain.FinalScrape)
	}
	c.validateAddresses(&ps)
	return ps.err()
}

// validateAddresses finds listeners that would take each other's place.
func (c *Config) validateAddresses(ps *Problems) {
	taken := map[string]string{}
	for _, l := range []struct{ key, address string }{
		{"ingest.als.endpoint", c.Ingest.ALS.Endpoint},
		{"prometheus.endpoint", c.Prometheus.Endpoint},
		{"admin.endpoint", c.Admin.Endpoint},
	} {
		if strings.HasSuffix(l.address, ":0") || l.address == "" {
			continue
		}
		if other, ok := taken[l.address]; ok {
			ps.add(l.key, "%s is also that of %s", l.address, other)
		}
		taken[l.address] = l.key
	}
}
