package tap

import (
	"errors"
	"fmt"
)

// Config is the section tap of the configuration.
type Config struct {
	// ErrorsPerEdge is how many of the last failures and denials are kept of each edge.
	ErrorsPerEdge int `mapstructure:"errors_per_edge"`
	// MaxEdges bounds the edges of which failures are kept; those without a new one for longest go first.
	MaxEdges int `mapstructure:"max_edges"`
	// MaxRate is how many entries per second one who watches is shown at most; of the others they are told the number.
	MaxRate int `mapstructure:"max_rate"`
	// MaskQuery are the names of query parameters whose values are not shown.
	MaskQuery []string `mapstructure:"mask_query"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		ErrorsPerEdge: 10,
		MaxEdges:      2000,
		MaxRate:       500,
		MaskQuery: []string{
			"access_token", "api_key", "apikey", "auth", "code", "id_token", "jwt", "key", "pass", "passwd", "password",
			"refresh_token", "secret", "session", "sid", "sig", "signature", "token",
		},
	}
}

// Validate returns every problem with the key that it is under.
func (c *Config) Validate() error {
	var errs []error
	if c.ErrorsPerEdge < 0 || c.ErrorsPerEdge > 1000 {
		errs = append(errs, fmt.Errorf("errors_per_edge: must be between 0 and 1000, is %d", c.ErrorsPerEdge))
	}
	if c.MaxEdges < 1 {
		errs = append(errs, fmt.Errorf("max_edges: must be at least 1, is %d", c.MaxEdges))
	}
	if c.MaxRate < 1 {
		errs = append(errs, fmt.Errorf("max_rate: must be at least 1, is %d", c.MaxRate))
	}
	return errors.Join(errs...)
}
