package jaeger

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// Values of Config.Protocol.
const (
	ThriftHTTP    = "thrift_http"
	ThriftCompact = "thrift_compact"
)

// Config is the section of an exporter of type jaeger.
type Config struct {
	// Protocol is thrift_http or thrift_compact.
	Protocol string `mapstructure:"protocol"`
	// ClientConfig has the endpoint: the URL of the collector (http://jaeger:14268/api/traces) or host:port of the agent (agent:6831). Its other keys are those of thrift_http.
	ClientConfig confighttp.ClientConfig `mapstructure:",squash"`
	// MaxPacketSize is the most bytes of a UDP packet.
	MaxPacketSize int `mapstructure:"max_packet_size"`
	// QueueConfig holds spans while the other side is slow or away.
	QueueConfig configoptional.Optional[exporterhelper.QueueBatchConfig] `mapstructure:"sending_queue"`
	// BackOffConfig repeats what was not taken.
	BackOffConfig configretry.BackOffConfig `mapstructure:"retry_on_failure"`
}

// maxPacket is the most that fits in a packet: 65,535 less the heads of IP and UDP.
const maxPacket = 65507

// minPacket leaves room for the ids and names of a span.
const minPacket = 1024

// DefaultConfig returns the defaults; the endpoint has none.
func DefaultConfig() *Config {
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = 5 * time.Second
	return &Config{
		Protocol:      ThriftHTTP,
		ClientConfig:  client,
		MaxPacketSize: 65000,
		QueueConfig:   configoptional.Some(exporterhelper.NewDefaultQueueConfig()),
		BackOffConfig: configretry.NewDefaultBackOffConfig(),
	}
}

// Validate returns every problem with its key.
func (c *Config) Validate() error {
	var errs []error
	switch c.Protocol {
	case ThriftHTTP:
		if u, err := url.Parse(c.ClientConfig.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			errs = append(errs, fmt.Errorf("endpoint: %q is not a URL such as http://jaeger:14268/api/traces", c.ClientConfig.Endpoint))
		}
	case ThriftCompact:
		if _, _, err := net.SplitHostPort(c.ClientConfig.Endpoint); err != nil {
			errs = append(errs, fmt.Errorf("endpoint: %q is not an address such as agent:6831", c.ClientConfig.Endpoint))
		}
	default:
		errs = append(errs, fmt.Errorf("protocol: %q is neither %s nor %s", c.Protocol, ThriftHTTP, ThriftCompact))
	}
	if c.MaxPacketSize < minPacket || c.MaxPacketSize > maxPacket {
		errs = append(errs, fmt.Errorf("max_packet_size: %d is not between %d and %d", c.MaxPacketSize, minPacket, maxPacket))
	}
	return errors.Join(errs...)
}
