//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// The rule that decided is a label of istio_requests_total, by way of the dynamic
// metadata in Envoy's access log, for which Envoy needs no configuration.
//
//	client ──▶ envoy ──▶ application
//	             ├─Check─▶ tallygate ──▶ /metrics
//	             └─ALS───▶ tallygate
func TestPolicyRuleLabel(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.rego")
	text := `package envoy.authz

default allow := false

allow if input.parsed_path[0] == "public"

allow if input.attributes.request.http.headers["x-user"] == "alice"
`
	if err := os.WriteFile(policy, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	checks, err := testbed.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	gate, err := testbed.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	tally := StartTallygate(t, testbed.TallygateConfig{More: object{
		"policy": object{"paths": array{policy}},
		"ingest": object{"extauthz": object{"endpoint": checks}},
		"labels": array{object{"name": "policy_rule", "metadata": "envoy.filters.http.ext_authz:policy_rule"}},
	}})
	app := httptest.NewServer(http.HandlerFunc(echoRequest))
	t.Cleanup(app.Close)
	listener := httpGate(gate, object{
		"@type": envoyAPI + "filters.http.ext_authz.v3.ExtAuthz", "transport_api_version": "V3",
		"grpc_service": object{"envoy_grpc": object{"cluster_name": "tallygate"}, "timeout": "1s"},
	})
	hcm := listener["filter_chains"].(array)[0].(object)["filters"].(array)[0].(object)["typed_config"].(object)
	hcm["access_log"] = array{object{"name": "envoy.access_loggers.http_grpc", "typed_config": object{
		"@type": envoyAPI + "access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
		"common_config": object{
			"log_name": "tallygate", "transport_api_version": "V3", "buffer_flush_interval": "0.2s",
			"grpc_service": object{"envoy_grpc": object{"cluster_name": "als"}},
		},
	}}}
	bootstrap, err := json.Marshal(object{
		"node":  object{"id": "gate", "cluster": "gate"},
		"admin": object{"address": address("127.0.0.1:0")},
		"static_resources": object{
			"listeners": array{listener},
			"clusters":  array{cluster("tallygate", checks, true), cluster("als", tally.ALS, true), cluster("app", app.Listener.Addr().String(), false)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	StartEnvoy(t, testbed.EnvoyConfig{Name: "gate", Bootstrap: string(bootstrap)})

	ask := func(want int, path string, headers ...string) {
		t.Helper()
		if a := send(t, gate, "GET", path, "", headers...); a.code != want {
			t.Fatalf("%s: %d; want %d", path, a.code, want)
		}
	}
	for range 3 {
		ask(200, "/public/1")
	}
	ask(200, "/private", "x-user", "alice")
	for range 2 {
		ask(403, "/private", "x-user", "bob")
	}
	Eventually(t, 20*time.Second, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+tally.Metrics+"/metrics", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		for rule, want := range map[string]string{
			`response_code="200".*policy_rule="envoy.authz.allow:5"`: "3",
			`response_code="200".*policy_rule="envoy.authz.allow:7"`: "1",
			`response_code="403".*policy_rule="envoy.authz.allow:3"`: "2",
		} {
			if !regexp.MustCompile(`(?m)^istio_requests_total\{.*` + rule + `.*\} ` + want + `(\.0)?$`).Match(b) {
				return fmt.Errorf("no %s with %s in\n%s", rule, want, regexp.MustCompile(`(?m)^istio_requests_total.*$`).FindAll(b, -1))
			}
		}
		return nil
	})
}
