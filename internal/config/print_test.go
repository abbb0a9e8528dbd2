package config

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tallygate/tallygate/red"
)

func TestPrintIsReadBack(t *testing.T) {
	for _, name := range []string{"testdata/everything.good.yaml", "testdata/unix.good.yaml"} {
		cfg := load(t, Sources{URIs: []string{name}})
		printed, err := cfg.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again := load(t, Sources{URIs: []string{"yaml:" + string(printed)}, Sets: []string{"admin.token=''"}})
		for _, c := range Diff(cfg, again) {
			switch c.Path { // what was hidden
			case "admin.token", "exporters.otlp/backend", "prometheus.response_headers":
			default:
				t.Errorf("%s: %s is not what was read\n%s", name, c.Path, printed)
			}
		}
	}
}

func TestPrintHidesSecrets(t *testing.T) {
	cfg := load(t, Sources{URIs: []string{"testdata/everything.good.yaml"}, Sets: []string{
		"exporters.prometheusremotewrite/x={endpoint: 'https://user:hunter2@host/p?api_key=hunter2', auth: {authenticator: a}, sigv4auth: {secret_key: hunter2}, tls: {key_pem: hunter2, key_file: /run/visible}, headers: {X-Org: hunter2}, api_key: 12345678901}",
		"ingest.als.tls.key_pem=hunter2", "ingest.als.tls.key_file=''",
		"prometheus.response_headers={a: hunter2}",
		"admin.token=hunter2-hunter2-hunter2",
	}})
	printed, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "Bearer abc", "12345678901"} {
		if strings.Contains(string(printed), secret) {
			t.Errorf("%s is shown:\n%s", secret, printed)
		}
	}
	for _, shown := range []string{"/run/visible", "backend:4317", "https://user:xxxxx@host/p?api_key=xxxxx"} {
		if !strings.Contains(string(printed), shown) {
			t.Errorf("%s is hidden:\n%s", shown, printed)
		}
	}
}

func TestDiff(t *testing.T) {
	f := func(before, after []string, want ...string) {
		t.Helper()
		var got []string
		for _, c := range Diff(load(t, Sources{Sets: before}), load(t, Sources{Sets: after})) {
			s := "hot "
			if c.Restart {
				s = "restart "
			}
			got = append(got, s+c.Path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("Diff(%q, %q) = %q; want %q", before, after, got, want)
		}
	}
	f(nil, nil)
	f(nil, []string{"log.level=debug", "log.format=json"}, "restart log.format", "hot log.level")
	f(nil, []string{"ingest.als.endpoint=127.0.0.1:1", "drain.timeout=1s"}, "hot drain.timeout", "restart ingest.als.endpoint")
	f(nil, []string{"labels=[{name: x}]"}, "hot labels")
	f(nil, []string{"quota={on_error: deny, source: redis, top_keys: 1, local: {max_size_mib: 1}, redis: {lease_max_age: 1s, timeout: 1s, max_pending: 1}}"},
		"hot quota.local.max_size_mib", "hot quota.on_error", "restart quota.redis.lease_max_age", "hot quota.redis.max_pending", "hot quota.redis.timeout", "restart quota.source", "hot quota.top_keys")
	f([]string{"labels=[{name: x}]"}, nil, "hot labels")
	f(nil, []string{"red.buckets=[1]", "red.expiry=1m", "red.families.istio_requests_total={disabled: true}"},
		"restart red.buckets", "hot red.expiry", "hot red.families.istio_requests_total.disabled")
	f([]string{"red.families.istio_request_bytes.buckets=[1]"}, []string{"red.families.istio_request_bytes={buckets: [2], exclude_labels: [reporter]}"},
		"restart red.families.istio_request_bytes.buckets", "hot red.families.istio_request_bytes.exclude_labels")
	f(nil, []string{"exporters={debug: {}}", "push.exporters=[debug]"}, "hot exporters.debug", "hot push.exporters")
	tls := func(file string) string { return "ingest.als.tls={cert_file: " + file + ", key_file: k}" }
	f([]string{tls("a")}, []string{tls("b")}, "hot ingest.als.tls.cert_file")
	f([]string{"admin.token=0123456789abcdef"}, []string{"admin.token=0123456789abcdeF"}, "restart admin.token")

	appears := Restart(Diff(load(t, Sources{}), load(t, Sources{Sets: []string{tls("a")}})))
	if !slices.Equal(appears, []string{"ingest.als.tls"}) {
		t.Errorf("TLS that appears needs a restart of %q", appears)
	}
}

// TestSchemaTakesTheExamples checks keys and types of the good files, without
// the patterns: what the schema refuses an editor underlines.
func TestSchemaTakesTheExamples(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"everything", "empty_sections", "unix"} {
		cfg := load(t, Sources{URIs: []string{"testdata/" + name + ".good.yaml"}})
		printed, err := cfg.YAML()
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := yaml.Unmarshal(printed, &doc); err != nil {
			t.Fatal(err)
		}
		checkSchema(t, schema, doc, "")
	}
	var def any
	if err := yaml.Unmarshal([]byte(Default()), &def); err != nil {
		t.Fatal(err)
	}
	checkSchema(t, schema, def, "")
}

func checkSchema(t *testing.T, schema map[string]any, v any, path string) {
	t.Helper()
	types := map[string]bool{}
	switch x := schema["type"].(type) {
	case string:
		types[x] = true
	case []any:
		for _, s := range x {
			types[s.(string)] = true
		}
	default:
		return // anything
	}
	ok := false
	switch x := v.(type) {
	case nil:
		ok = types["null"]
	case bool:
		ok = types["boolean"]
	case int:
		ok = types["integer"] || types["number"]
	case float64:
		ok = types["number"]
	case string:
		ok = types["string"]
	case []any:
		ok = types["array"]
		for _, e := range x {
			checkSchema(t, schema["items"].(map[string]any), e, path+"[]")
		}
	case map[string]any:
		ok = types["object"]
		properties, _ := schema["properties"].(map[string]any)
		for k, e := range x {
			if p, found := properties[k]; found {
				checkSchema(t, p.(map[string]any), e, path+"."+k)
			} else if more, isMap := schema["additionalProperties"].(map[string]any); isMap {
				checkSchema(t, more, e, path+"."+k)
			} else if schema["additionalProperties"] == false {
				t.Errorf("the schema does not know %s.%s", path, k)
			}
		}
	}
	if !ok {
		t.Errorf("%s: %v is none of %v", path, v, schema["type"])
	}
}

// TestHotAgreesWithRED: what the table cannot change while running is not hot.
func TestHotAgreesWithRED(t *testing.T) {
	before := load(t, Sources{})
	for _, set := range []string{
		"red.buckets=[7]", "red.byte_buckets=coarse", "red.exclude_labels=[reporter]", "red.expiry=1m", "red.zero_for=1s",
		"red.max_series=7", "red.max_label_values=7", "red.exemplars=false", "red.span_metrics=true", "red.synthesize_source_reporter=true",
		"red.native_histograms.enabled=true", "red.native_histograms.factor=1.5", "red.native_histograms.max_buckets=9",
		"red.families.istio_request_bytes.buckets=[7]", "red.families.istio_request_bytes.disabled=true", "red.families.istio_request_bytes.exclude_labels=[reporter]",
	} {
		after := load(t, Sources{Sets: []string{set}})
		changes := Diff(before, after)
		if len(changes) == 0 {
			t.Errorf("%s changes nothing", set)
		}
		if got, want := len(Restart(changes)) > 0, len(red.RestartKeys(before.RED, after.RED)) > 0; got != want {
			t.Errorf("%s: needs restart is %v; the table says %v", set, got, want)
		}
	}
}
