package als

import (
	"errors"
	"fmt"
	"time"
)

// Values of Config.Identity.
const (
	IdentityPermissive = "permissive" // a stream that lies about itself is counted and its claims ignored
	IdentityStrict     = "strict"     // it is refused
)

// Config is the configuration of the access-log service. Durations are Go
// durations ("10m").
type Config struct {
	// Identity says what to do with a stream whose node identifier contradicts
	// its client certificate: permissive or strict.
	Identity string `mapstructure:"identity"`
	// AuthorityFallback lets the :authority of a request name the destination
	// service where nothing better does, for reports of the source side only and
	// never for gateways.
	AuthorityFallback bool `mapstructure:"authority_fallback"`
	// Decoders is how many messages are worked on at once; 0 means one for each
	// core that Go may use, less one if the process also answers checks: that one
	// is theirs.
	Decoders int `mapstructure:"decoders"`
	// DecoderShare is how much of the time each decoder may work, if there is that
	// much to do; 0 means all, or 0.25 if the process also answers checks, which
	// then find a core free. Senders wait, as whenever there is more than can be
	// taken.
	DecoderShare float64 `mapstructure:"decoder_share"`
	// MemoEntries caps how many distinct identities one stream remembers, about
	// 700 bytes each.
	MemoEntries int `mapstructure:"memo_entries"`
	// MaxMemoEntries caps what all streams remember together; beyond it each
	// stream remembers only a few.
	MaxMemoEntries int `mapstructure:"max_memo_entries"`
	// ConnectionAge ends a stream after this time, at a quiet moment, so that
	// proxies spread over replicas; 0 means never.
	ConnectionAge time.Duration `mapstructure:"connection_age"`
	// ConnectionAgeJitter varies ConnectionAge by up to this fraction.
	ConnectionAgeJitter float64 `mapstructure:"connection_age_jitter"`

	Learned LearnedConfig `mapstructure:"learned"`
	TCP     TCPConfig     `mapstructure:"tcp"`
}

// LearnedConfig is about the registry of workloads learned from the node
// identifiers of all streams.
type LearnedConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// MaxEntries caps the addresses and principals that are remembered.
	MaxEntries int `mapstructure:"max_entries"`
	// Expiry is how long they are remembered once the last stream is gone.
	Expiry time.Duration `mapstructure:"expiry"`
}

// TCPConfig is about the table of open TCP connections.
type TCPConfig struct {
	MaxConnections int `mapstructure:"max_connections"`
	// IdleTimeout is how long a connection is remembered without an entry.
	IdleTimeout time.Duration `mapstructure:"idle_timeout"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Identity:            IdentityPermissive,
		AuthorityFallback:   true,
		MemoEntries:         4096,
		MaxMemoEntries:      200_000,
		ConnectionAgeJitter: 0.1,
		Learned:             LearnedConfig{Enabled: true, MaxEntries: 100_000, Expiry: 10 * time.Minute},
		TCP:                 TCPConfig{MaxConnections: 200_000, IdleTimeout: time.Hour},
	}
}

// Validate returns every problem of the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if c.Identity != IdentityPermissive && c.Identity != IdentityStrict {
		bad("identity", "%q is neither %s nor %s", c.Identity, IdentityPermissive, IdentityStrict)
	}
	if c.Decoders < 0 {
		bad("decoders", "must not be negative")
	}
	if c.DecoderShare < 0 || c.DecoderShare > 1 {
		bad("decoder_share", "must be between 0 and 1")
	}
	if c.MemoEntries < 16 {
		bad("memo_entries", "must be at least 16")
	}
	if c.MaxMemoEntries < 0 {
		bad("max_memo_entries", "must not be negative")
	}
	if c.ConnectionAge < 0 {
		bad("connection_age", "must not be negative")
	}
	if c.ConnectionAgeJitter < 0 || c.ConnectionAgeJitter > 1 {
		bad("connection_age_jitter", "must be between 0 and 1")
	}
	if c.Learned.MaxEntries < 1 {
		bad("learned::max_entries", "must be positive")
	}
	if c.Learned.Expiry <= 0 {
		bad("learned::expiry", "must be positive")
	}
	if c.TCP.MaxConnections < 1 {
		bad("tcp::max_connections", "must be positive")
	}
	if c.TCP.IdleTimeout <= 0 {
		bad("tcp::idle_timeout", "must be positive")
	}
	return errors.Join(errs...)
}
