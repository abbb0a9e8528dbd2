package ingest

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/confighttp"
)

// TestKeysAreTheCollectors: whoever knows the Collector's sections knows ours.
func TestKeysAreTheCollectors(t *testing.T) {
	f := func(ours, theirs reflect.Type) {
		t.Helper()
		known := keys(theirs)
		for key, typ := range keys(ours) {
			want, ok := known[key]
			if !ok {
				t.Errorf("%s has the key %s, which %s has not", ours, key, theirs)
			} else if typ.Kind() != want.Kind() {
				t.Errorf("%s: key %s is a %s; in %s a %s", ours, key, typ.Kind(), theirs, want.Kind())
			}
		}
	}
	f(reflect.TypeFor[GRPCConfig](), reflect.TypeFor[configgrpc.ServerConfig]())
	f(reflect.TypeFor[KeepaliveServerParameters](), reflect.TypeFor[configgrpc.KeepaliveServerParameters]())
	f(reflect.TypeFor[KeepaliveEnforcementPolicy](), reflect.TypeFor[configgrpc.KeepaliveEnforcementPolicy]())
	f(reflect.TypeFor[HTTPConfig](), reflect.TypeFor[confighttp.ServerConfig]())
}

func keys(t reflect.Type) map[string]reflect.Type {
	m := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("mapstructure"), ",")
		if opts == "squash" {
			for k, v := range keys(f.Type) {
				m[k] = v
			}
		} else if name != "" {
			m[name] = f.Type
		}
	}
	return m
}

func TestGRPCConfigValidate(t *testing.T) {
	f := func(change func(*GRPCConfig), want ...string) {
		t.Helper()
		cfg := DefaultGRPCConfig("127.0.0.1:9001")
		change(&cfg)
		wantErrors(t, cfg.Validate(), want)
	}
	f(func(*GRPCConfig) {})
	f(func(c *GRPCConfig) { c.Endpoint = "9001" }, `endpoint: "9001" is not host:port`)
	f(func(c *GRPCConfig) { c.Transport = "udp" }, `transport: "udp" is not one of tcp, tcp4, tcp6, unix`)
	f(func(c *GRPCConfig) { c.Transport = "unix"; c.Endpoint = "unix:///run/x" }, `endpoint: "unix:///run/x" is a URL; with transport unix give the bare path`)
	f(func(c *GRPCConfig) { c.TLS.GetOrInsertDefault() }, "tls: TLS configuration must include both certificate and key for server connections")
	f(func(c *GRPCConfig) {
		tls := c.TLS.GetOrInsertDefault()
		tls.CertFile, tls.KeyFile, tls.CAFile = "crt", "key", "ca"
	}, "tls: ca_file and ca_pem verify servers; a listener verifies its clients with client_ca_file")
	f(func(c *GRPCConfig) {
		c.MaxRecvMsgSizeMiB = 0
		c.ReadBufferSize = -1
		c.Keepalive.ServerParameters.Time = -time.Second
	},
		"max_recv_msg_size_mib: 0 is less than 1",
		"read_buffer_size: -1 is less than 0",
		"keepalive.server_parameters.time: -1s is negative",
	)
}

func TestHTTPConfigValidate(t *testing.T) {
	f := func(change func(*HTTPConfig), want ...string) {
		t.Helper()
		cfg := DefaultHTTPConfig("127.0.0.1:9464")
		change(&cfg)
		wantErrors(t, cfg.Validate(), want)
	}
	f(func(*HTTPConfig) {})
	f(func(c *HTTPConfig) { c.Endpoint = ""; c.WriteTimeout = -1 },
		`endpoint: "" is not host:port`,
		"write_timeout: -1ns is negative")
}

func wantErrors(t *testing.T, err error, want []string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != strings.Join(want, "\n") {
		t.Errorf("Validate:\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
