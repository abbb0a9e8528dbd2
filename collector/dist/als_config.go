package dist

import (
	"errors"

	"github.com/tallygate/tallygate/exporters/push"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/als"
	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/red"
	"github.com/tallygate/tallygate/spans"
)

// Config is the section of a receiver of type tallygate_als. What the keys mean is
// in Tallygate's own configuration: ingest.als, labels, red, push and spans.
type Config struct {
	GRPC ingest.GRPCConfig `mapstructure:",squash"`
	ALS  als.Config        `mapstructure:",squash"`
	// Labels are further metric labels from custom tags.
	Labels []mesh.CustomLabel `mapstructure:"labels"`
	// RED is what is counted, in a metrics pipeline.
	RED red.Config `mapstructure:"red"`
	// Push is how often the pipeline gets the metrics; its exporters are the pipeline's.
	Push push.Config `mapstructure:"push"`
	// Spans is what is sampled, in a traces pipeline; its exporters are the pipeline's.
	Spans spans.Config `mapstructure:"spans"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() *Config {
	return &Config{
		GRPC:  ingest.DefaultGRPCConfig("127.0.0.1:9001"),
		ALS:   als.DefaultConfig(),
		RED:   red.DefaultConfig(),
		Push:  push.DefaultConfig(),
		Spans: spans.DefaultConfig(),
	}
}

// Validate returns every problem.
func (c *Config) Validate() error {
	return errors.Join(c.GRPC.Validate(), c.ALS.Validate(), red.ValidateCustomLabels(c.Labels), c.RED.Validate(), c.Push.Validate(), c.Spans.Validate())
}
