package extauthz

import (
	"strings"
	"testing"
)

func TestConfigValidate(t *testing.T) {
	f := func(change func(*Config), want ...string) {
		t.Helper()
		c := DefaultConfig()
		change(&c)
		compareErrors(t, c.Validate(), want)
	}
	f(func(*Config) {})
	f(func(c *Config) { *c = Config{} },
		`on_error: "" is none of deny, allow, error_response`,
		"error_status: 0 is not an HTTP status of an error",
		"entrypoint_key: must not be empty",
		"timeout: 0s is not more than 0",
		`quota_headers: "" is none of always, denied, never`,
		"max_in_flight: 0 is less than 1")
	f(func(c *Config) {
		c.Entrypoints = map[string]EntrypointConfig{"b": {OnError: "open"}, "a": {OnError: OnErrorAllow}}
		c.ErrorStatus, c.MaxBodyKiB = 200, -1
	},
		`entrypoints.b.on_error: "open" is none of deny, allow, error_response`,
		"error_status: 200 is not an HTTP status of an error",
		"max_body_kib: -1 is not between 0 and 1048576")
}

func TestForwardConfigValidate(t *testing.T) {
	f := func(change func(*ForwardConfig), want ...string) {
		t.Helper()
		c := DefaultForwardConfig()
		change(&c)
		compareErrors(t, c.Validate(), want)
	}
	f(func(*ForwardConfig) {})
	f(func(c *ForwardConfig) { *c = ForwardConfig{} },
		`mode: "" is none of envoy_http, nginx, traefik`,
		"trusted_proxies: must name who may ask")
	f(func(c *ForwardConfig) {
		c.Mode, c.OriginalURLHeader, c.ClientIPHeader = ModeNginx, "", "a b"
		c.TrustedProxies = []string{"10.0.0.0/8", "proxy", "unix", "::1"}
		c.PathPrefix = "x"
	},
		`trusted_proxies[1]: "proxy" is neither an address, nor a network, nor unix`,
		`path_prefix: "x" does not begin with a slash`,
		`original_url_header: "" is not the name of a header`,
		`client_ip_header: "a b" is not the name of a header`)
	f(func(c *ForwardConfig) { c.ClientIPHeader = "X-Real-IP" }, "client_ip_header: only mode nginx reads one")
}

func compareErrors(t *testing.T, err error, want []string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if want := strings.Join(want, "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
