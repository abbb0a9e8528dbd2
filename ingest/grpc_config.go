package ingest

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// GRPCConfig configures a gRPC listener, in the keys of
// configgrpc.ServerConfig. What telemetry interceptors, authentication
// extensions and grpc's connection age would need is not there; package config
// says why to those who write it.
type GRPCConfig struct {
	AddrConfig `mapstructure:",squash"`
	// TLS encrypts the listener. Absent means plain text.
	TLS TLSConfig `mapstructure:"tls"`
	// Keepalive finds dead proxies and bounds how often they may ping.
	Keepalive KeepaliveConfig `mapstructure:"keepalive"`
	// MaxRecvMsgSizeMiB is the largest message accepted, in MiB.
	MaxRecvMsgSizeMiB int `mapstructure:"max_recv_msg_size_mib"`
	// MaxConcurrentStreams is the most streams of one connection. 0 means no limit.
	MaxConcurrentStreams uint32 `mapstructure:"max_concurrent_streams"`
	// ReadBufferSize is the read buffer of a connection in bytes. 0 reads without a buffer.
	ReadBufferSize int `mapstructure:"read_buffer_size"`
	// WriteBufferSize is the write buffer of a connection in bytes; idle connections hold none.
	WriteBufferSize int `mapstructure:"write_buffer_size"`
}

// KeepaliveConfig is the keepalive section of a gRPC listener.
type KeepaliveConfig struct {
	// ServerParameters say when the server pings and when it gives up.
	ServerParameters KeepaliveServerParameters `mapstructure:"server_parameters"`
	// EnforcementPolicy says how often a client may ping.
	EnforcementPolicy KeepaliveEnforcementPolicy `mapstructure:"enforcement_policy"`
}

// KeepaliveServerParameters are those of grpc's keepalive.ServerParameters that
// do not cut streams off.
type KeepaliveServerParameters struct {
	// MaxConnectionIdle closes a connection without streams after this time. 0 means never.
	MaxConnectionIdle time.Duration `mapstructure:"max_connection_idle"`
	// Time is the silence after which the server pings. 0 means two hours.
	Time time.Duration `mapstructure:"time"`
	// Timeout is how long the server waits for the answer to a ping before it closes the connection.
	Timeout time.Duration `mapstructure:"timeout"`
}

// KeepaliveEnforcementPolicy is grpc's keepalive.EnforcementPolicy.
type KeepaliveEnforcementPolicy struct {
	// MinTime is the least time between two pings of a client; one that pings more often is disconnected.
	MinTime time.Duration `mapstructure:"min_time"`
	// PermitWithoutStream allows pings while no stream is open.
	PermitWithoutStream bool `mapstructure:"permit_without_stream"`
}

// DefaultGRPCConfig returns the defaults with the given address.
func DefaultGRPCConfig(endpoint string) GRPCConfig {
	return GRPCConfig{
		AddrConfig: AddrConfig{Endpoint: endpoint, Transport: "tcp"},
		TLS:        defaultTLSConfig(),
		Keepalive: KeepaliveConfig{
			ServerParameters: KeepaliveServerParameters{Time: time.Minute, Timeout: 20 * time.Second},
			// Envoy's own keep-alive pings would be abuse by grpc's default of
			// five minutes.
			EnforcementPolicy: KeepaliveEnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true},
		},
		MaxRecvMsgSizeMiB: 4,
		// Bounds what a connection that stalls can hold, in windows. A proxy
		// that wants more opens another connection.
		MaxConcurrentStreams: 100,
		ReadBufferSize:       64 << 10,
		WriteBufferSize:      32 << 10,
	}
}

// Validate returns every problem, each with its key path relative to the
// section.
func (c *GRPCConfig) Validate() error {
	errs := append(c.AddrConfig.validate(), validateTLS(&c.TLS)...)
	atLeast := func(key string, v, least int64) {
		if v < least {
			errs = append(errs, fmt.Errorf("%s: %d is less than %d", key, v, least))
		}
	}
	duration := func(key string, d time.Duration) {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s: %s is negative", key, d))
		}
	}
	atLeast("max_recv_msg_size_mib", int64(c.MaxRecvMsgSizeMiB), 1)
	if c.MaxRecvMsgSizeMiB > 1024 {
		errs = append(errs, fmt.Errorf("max_recv_msg_size_mib: %d is more than 1024", c.MaxRecvMsgSizeMiB))
	}
	atLeast("read_buffer_size", int64(c.ReadBufferSize), 0)
	atLeast("write_buffer_size", int64(c.WriteBufferSize), 0)
	duration("keepalive.server_parameters.max_connection_idle", c.Keepalive.ServerParameters.MaxConnectionIdle)
	duration("keepalive.server_parameters.time", c.Keepalive.ServerParameters.Time)
	duration("keepalive.server_parameters.timeout", c.Keepalive.ServerParameters.Timeout)
	duration("keepalive.enforcement_policy.min_time", c.Keepalive.EnforcementPolicy.MinTime)
	return errors.Join(errs...)
}

// Flow-control windows. They are fixed: grpc's own estimate would let each
// stalled stream grow to 16 MiB.
const (
	streamWindow = 512 << 10
	connWindow   = 1 << 20
)

func (c *GRPCConfig) serverOptions() []grpc.ServerOption {
	k := c.Keepalive
	opts := []grpc.ServerOption{
		grpc.ForceServerCodecV2(Codec()),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.ReadBufferSize(c.ReadBufferSize),
		grpc.WriteBufferSize(c.WriteBufferSize),
		grpc.MaxRecvMsgSize(c.MaxRecvMsgSizeMiB << 20),
		grpc.MaxHeaderListSize(64 << 10),
		grpc.ConnectionTimeout(20 * time.Second),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: k.ServerParameters.MaxConnectionIdle,
			Time:              k.ServerParameters.Time,
			Timeout:           k.ServerParameters.Timeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             k.EnforcementPolicy.MinTime,
			PermitWithoutStream: k.EnforcementPolicy.PermitWithoutStream,
		}),
	}
	if c.MaxConcurrentStreams > 0 {
		opts = append(opts, grpc.MaxConcurrentStreams(c.MaxConcurrentStreams))
	}
	return opts
}
