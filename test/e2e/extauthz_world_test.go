//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

type (
	object = map[string]any
	array  = []any
)

// gated is an Envoy that asks Tallygate before it lets anything pass.
type gated struct {
	tallygate *testbed.Tallygate
	envoy     *testbed.Envoy

	closed, open       string // ext_authz over gRPC; what the filter itself does if it gets no answer
	service            string // ext_authz over HTTP
	tcpAllowed, tcp    string // network ext_authz: the policy allows the port of the first only
	tcpOpen            string
	forward, grpcCheck string // Tallygate's own
}

// gatePolicy has an answer for every path of the test. The ports of TCP are the
// listeners'.
const gatePolicy = `package envoy.authz

default allow := false

http := input.attributes.request.http

allow := {"allowed": true, "headers": {"x-authenticated": http.headers["x-user"]}} if startswith(http.path, "/allow")

allow := {
	"allowed": true,
	"headers": {"x-user": "judged", "x-group": ["a", "b"]},
	"request_headers_to_remove": ["authorization"],
	"response_headers_to_add": {"x-judged": "yes", "set-cookie": ["a=1", "b=2"]},
	"query_parameters_to_remove": ["token"],
	"query_parameters_to_set": {"by": "policy"},
	"dynamic_metadata": {"tier": "gold"},
} if startswith(http.path, "/mutate")

allow := {"allowed": true, "request_headers_to_remove": ["authorization"], "headers": {"x-user": "judged"}} if startswith(http.path, "/remove")

allow := {"allowed": false, "http_status": 401, "body": "log in\n", "headers": {"www-authenticate": "Bearer", "set-cookie": ["a=1", "b=2"]}} if startswith(http.path, "/login")

allow := {"allowed": false, "body": "für immer: 100 %%"} if http.headers["x-banned"]

allow := {"allowed": true, "headers": {"x-user": concat("", ["a", input.parsed_query.inject[0]])}} if startswith(http.path, "/inject")

allow if input.parsed_body.user == "alice"

allow if {
	contains(http.path, "/slow")
	count([1 | some i in numbers.range(1, 100000); some j in numbers.range(1, 100000); i * j == 7]) > 0
}

allow := {
	"allowed": true,
	"quotas": [{"name": "per-user", "key": http.headers["x-user"], "limit": 5, "per": "1h"}],
	"quota_denied": {"body": "used up\n"},
} if http.headers["x-quota"]

allow if {
	not input.attributes.request
	input.attributes.destination.address.socketAddress.portValue == %s
}
`

// startGated starts Tallygate, an application behind an Envoy, and the Envoy.
// extauthz is the section ingest.extauthz; change changes the section policy.
func startGated(t *testing.T, extauthz object, change ...func(policy object)) *gated {
	t.Helper()
	g := new(gated)
	for _, addr := range []*string{&g.closed, &g.open, &g.service, &g.tcpAllowed, &g.tcp, &g.tcpOpen, &g.forward, &g.grpcCheck} {
		var err error
		if *addr, err = testbed.FreeAddr("127.0.0.1"); err != nil {
			t.Fatal(err)
		}
	}
	_, port, _ := net.SplitHostPort(g.tcpAllowed)
	policy := filepath.Join(t.TempDir(), "policy.rego")
	if err := os.WriteFile(policy, fmt.Appendf(nil, gatePolicy, port), 0o644); err != nil {
		t.Fatal(err)
	}
	section := object{"endpoint": g.grpcCheck}
	for k, v := range extauthz {
		section[k] = v
	}
	rules := object{"paths": array{policy}, "entrypoints": object{"lenient": "envoy/authz/allow", "proxys": "envoy/authz/allow"}}
	for _, f := range change {
		f(rules)
	}
	g.tallygate = StartTallygate(t, testbed.TallygateConfig{More: object{
		"policy": rules,
		"ingest": object{"extauthz": section, "forward_auth": object{"endpoint": g.forward, "mode": "envoy_http"}},
	}})
	app := httptest.NewServer(http.HandlerFunc(echoRequest))
	t.Cleanup(app.Close)
	bootstrap, err := json.Marshal(g.bootstrap(app.Listener.Addr().String(), echoTCP(t)))
	if err != nil {
		t.Fatal(err)
	}
	g.envoy = StartEnvoy(t, testbed.EnvoyConfig{Name: "gate", Bootstrap: string(bootstrap)})
	return g
}

// echoRequest answers what arrived.
func echoRequest(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(echo{URL: r.RequestURI, Header: r.Header})
}

type echo struct {
	URL    string
	Header http.Header
}

func echoTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

const envoyAPI = "type.googleapis.com/envoy.extensions."

func (g *gated) bootstrap(app, tcp string) object {
	grpcService := object{"envoy_grpc": object{"cluster_name": "tallygate"}, "timeout": "1s"}
	over := func(open bool) object {
		return object{
			"@type": envoyAPI + "filters.http.ext_authz.v3.ExtAuthz", "transport_api_version": "V3", "grpc_service": grpcService,
			"failure_mode_allow": open, "failure_mode_allow_header_add": open,
			"with_request_body": object{"max_request_bytes": 8192, "allow_partial_message": true},
		}
	}
	overHTTP := object{
		"@type": envoyAPI + "filters.http.ext_authz.v3.ExtAuthz", "transport_api_version": "V3",
		"http_service": object{
			"server_uri": object{"uri": "http://" + g.forward, "cluster": "forward", "timeout": "1s"},
			"authorization_response": object{
				"allowed_upstream_headers": object{"patterns": array{object{"prefix": "x-"}}},
				"allowed_client_headers":   object{"patterns": array{object{"exact": "retry-after"}, object{"prefix": "x-ratelimit-"}, object{"exact": "www-authenticate"}, object{"exact": "set-cookie"}}},
			},
		},
		"allowed_headers": object{"patterns": array{object{"prefix": "x-"}}},
	}
	network := func(open bool) object {
		return object{
			"@type": envoyAPI + "filters.network.ext_authz.v3.ExtAuthz", "stat_prefix": "tcp", "transport_api_version": "V3",
			"grpc_service": grpcService, "failure_mode_allow": open,
		}
	}
	return object{
		"admin": object{"address": address("127.0.0.1:0")},
		"static_resources": object{
			"listeners": array{
				httpGate(g.closed, over(false)), httpGate(g.open, over(true)), httpGate(g.service, overHTTP),
				tcpGate(g.tcpAllowed, network(false)), tcpGate(g.tcp, network(false)), tcpGate(g.tcpOpen, network(true)),
			},
			"clusters": array{cluster("tallygate", g.grpcCheck, true), cluster("forward", g.forward, false), cluster("app", app, false), cluster("tcp", tcp, false)},
		},
	}
}

func address(addr string) object {
	host, port, _ := net.SplitHostPort(addr)
	return object{"socket_address": object{"address": host, "port_value": json.Number(port)}}
}

func cluster(name, addr string, http2 bool) object {
	c := object{"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": object{
		"cluster_name": name, "endpoints": array{object{"lb_endpoints": array{object{"endpoint": object{"address": address(addr)}}}}},
	}}
	if http2 {
		c["typed_extension_protocol_options"] = object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
			"@type":                envoyAPI + "upstreams.http.v3.HttpProtocolOptions",
			"explicit_http_config": object{"http2_protocol_options": object{}},
		}}
	}
	return c
}

// httpGate is a listener whose routes name their entrypoints: /lenient and
// /proxys have their own.
func httpGate(addr string, filter object) object {
	routes := array{}
	for _, entrypoint := range []string{"lenient", "proxys"} {
		routes = append(routes, object{
			"match": object{"prefix": "/" + entrypoint}, "route": object{"cluster": "app"},
			"typed_per_filter_config": object{"envoy.filters.http.ext_authz": object{
				"@type":          envoyAPI + "filters.http.ext_authz.v3.ExtAuthzPerRoute",
				"check_settings": object{"context_extensions": object{"tallygate.entrypoint": entrypoint}},
			}},
		})
	}
	routes = append(routes, object{"match": object{"prefix": "/"}, "route": object{"cluster": "app"}})
	const log = "%REQ(X-CASE)% id=%DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision_id)% rule=%DYNAMIC_METADATA(envoy.filters.http.ext_authz:policy_rule)% " +
		"tier=%DYNAMIC_METADATA(envoy.filters.http.ext_authz:tier)% error=%DYNAMIC_METADATA(envoy.filters.http.ext_authz:policy_error)% %RESPONSE_CODE_DETAILS% " +
		"quota=%DYNAMIC_METADATA(envoy.filters.http.ext_authz:quota)% over=%DYNAMIC_METADATA(envoy.filters.http.ext_authz:quota_over)% code=%RESPONSE_CODE%\n"
	return object{"name": addr, "address": address(addr), "filter_chains": array{object{"filters": array{object{
		"name": "hcm", "typed_config": object{
			"@type": envoyAPI + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "gate", "codec_type": "AUTO",
			"route_config": object{"virtual_hosts": array{object{"name": "all", "domains": array{"*"}, "routes": routes}}},
			"http_filters": array{
				object{"name": "envoy.filters.http.ext_authz", "typed_config": filter},
				object{"name": "envoy.filters.http.router", "typed_config": object{"@type": envoyAPI + "filters.http.router.v3.Router"}},
			},
			"access_log": array{object{"name": "envoy.access_loggers.stdout", "typed_config": object{
				"@type":      envoyAPI + "access_loggers.stream.v3.StdoutAccessLog",
				"log_format": object{"text_format_source": object{"inline_string": log}},
			}}},
		},
	}}}}}
}

func tcpGate(addr string, filter object) object {
	return object{"name": addr, "address": address(addr), "filter_chains": array{object{"filters": array{
		object{"name": "envoy.filters.network.ext_authz", "typed_config": filter},
		object{"name": "envoy.filters.network.tcp_proxy", "typed_config": object{
			"@type": envoyAPI + "filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp", "cluster": "tcp",
		}},
	}}}}
}

// answer is what a client got, and what the application did.
type answer struct {
	code   int
	body   string
	header http.Header
	app    echo // if it was reached
}

// send sends a request through a listener; headers are name, value, ….
func send(t *testing.T, listener, method, path, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+listener+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{code: resp.StatusCode, body: string(b), header: resp.Header}
	if resp.StatusCode == 200 {
		if err := json.Unmarshal(b, &a.app); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	}
	return a
}

// passes reports whether a TCP listener carries bytes.
func passes(t *testing.T, listener string) bool {
	t.Helper()
	c, err := net.Dial("tcp", listener)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("ping")); err != nil {
		return false
	}
	b := make([]byte, 4)
	_, err = io.ReadFull(c, b)
	return err == nil && string(b) == "ping"
}
