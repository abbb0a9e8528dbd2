package ingest

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
)

// TLSConfig is the TLS section of a listener: absent means plain text. The keys
// are those of configtls.ServerConfig. Certificate, key and client CA are read
// again when the files have changed, looked at every reload_interval; 0 means
// only on a reload of the configuration.
type TLSConfig = configoptional.Optional[configtls.ServerConfig]

// defaultTLSConfig is absent; a section that is there starts from these values.
func defaultTLSConfig() TLSConfig {
	c := configtls.NewDefaultServerConfig()
	c.ReloadInterval = time.Minute
	return configoptional.Default(c)
}

func validateTLS(c *TLSConfig) []error {
	if !c.HasValue() {
		return nil
	}
	var errs []error
	add := func(err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("tls: %w", err))
		}
	}
	s := c.Get()
	add(s.Validate())
	add(s.Config.Validate())
	if s.CAFile != "" || s.CAPem != "" {
		add(errors.New("ca_file and ca_pem verify servers; a listener verifies its clients with client_ca_file"))
	}
	if s.ReloadInterval < 0 {
		add(errors.New("reload_interval: is negative"))
	}
	return errs
}

// keyPair is what a handshake uses, whole: certificate, key and client CA that
// belong together.
type keyPair struct {
	config *tls.Config
	expiry time.Time
	sum    [sha256.Size]byte // of the files
}

// certificates holds the TLS state of one listener and replaces it as a whole.
type certificates struct {
	key        string // path in the configuration, for messages
	nextProtos []string
	optional   bool // a client without certificate is let in too
	m          *metrics
	log        *slog.Logger

	mu      sync.Mutex // held while reloading
	cfg     configtls.ServerConfig
	current atomic.Pointer[keyPair]
}

// newCertificates reads nothing yet; see load.
func newCertificates(key string, cfg configtls.ServerConfig, nextProtos []string, m *metrics, log *slog.Logger) *certificates {
	return &certificates{key: key, cfg: cfg, nextProtos: nextProtos, m: m, log: log}
}

// load reads the files for the first time.
func (c *certificates) load() error {
	apply, err := c.prepare(c.cfg)
	if err != nil {
		return err
	}
	apply()
	return nil
}

// prepare reads the files of cfg and returns what puts them to use.
func (c *certificates) prepare(cfg configtls.ServerConfig) (apply func(), err error) {
	p, err := c.read(cfg)
	if err != nil {
		return nil, err
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cfg = cfg
		c.use(p)
	}, nil
}

func (c *certificates) use(p *keyPair) {
	c.current.Store(p)
	c.m.certificateExpiry.Set(float64(p.expiry.Unix()))
}

func (c *certificates) read(cfg configtls.ServerConfig) (*keyPair, error) {
	sum := sumFiles(cfg) // before reading: a change in between is seen next time
	// The Collector's own timers are not wanted: what is loaded stays as it is
	// until it is replaced as a whole.
	cfg.ReloadInterval = 0
	cfg.ReloadClientCAFile = false
	tc, err := cfg.LoadTLSConfig(context.Background())
	if err != nil {
		return nil, fmt.Errorf("%s.tls: %w", c.key, err)
	}
	tc.NextProtos = c.nextProtos
	if c.optional && tc.ClientAuth == tls.RequireAndVerifyClientCert {
		tc.ClientAuth = tls.VerifyClientCertIfGiven
	}
	p := &keyPair{config: tc, sum: sum}
	if cert, err := tc.GetCertificate(nil); err == nil && len(cert.Certificate) > 0 {
		if leaf, err := x509.ParseCertificate(cert.Certificate[0]); err == nil {
			p.expiry = leaf.NotAfter
		}
	}
	return p, nil
}

// sumFiles hashes the contents and not the times: a projected volume swaps a
// symbolic link, and times are coarse.
func sumFiles(cfg configtls.ServerConfig) [sha256.Size]byte {
	h := sha256.New()
	for _, name := range []string{cfg.CAFile, cfg.CertFile, cfg.KeyFile, cfg.ClientCAFile} {
		b, err := os.ReadFile(name)
		fmt.Fprintf(h, "%q %d %v\n", name, len(b), err)
		h.Write(b)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// reload reads the files again if they have changed. On an error the last good
// ones stay, and the next call tries again: certificate and key are seldom
// written at the same instant.
func (c *certificates) reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sumFiles(c.cfg) == c.current.Load().sum {
		return
	}
	p, err := c.read(c.cfg)
	if err != nil {
		c.m.reloads.WithLabelValues("failure").Inc()
		c.log.Error("Changed certificate files cannot be used; the last good ones stay", "err", err)
		return
	}
	c.use(p)
	c.m.reloads.WithLabelValues("success").Inc()
	c.log.Info("Certificates reloaded", "listener", c.key, "expires", p.expiry)
}

func (c *certificates) interval() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cfg.ReloadInterval
}

// watch calls reload every reload_interval until ctx ends.
func (c *certificates) watch(ctx context.Context) {
	for {
		wait := c.interval()
		on := wait > 0
		if !on {
			wait = time.Minute // the interval itself may be reloaded
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
			if on {
				c.reload()
			}
		}
	}
}

// serverConfig returns the configuration that follows every reload.
func (c *certificates) serverConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: c.nextProtos,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.current.Load().config, nil
		},
	}
}
