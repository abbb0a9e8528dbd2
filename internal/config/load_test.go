package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/policy/quota/descriptors"
)

// messages is what is wrong with testdata/<case>.bad.yaml.
var messages = map[string]string{
	"unknown_keys": `
drain.something_quite_different: unknown key; known here: delay, final_scrape, timeout
ingest.als.auth: authentication extensions are not supported here; use tls.client_ca_file
ingest.als.endpiont: unknown key; did you mean endpoint?
ingest.als.keepalive.server_parameters.max_connection_age: grpc closes access-log streams hard at this age; use ingest.als.connection_age, which lets each stream end between two messages
ingest.als.middlewares: middleware extensions are not supported here
ingest.als.tls.cert_fiel: unknown key; did you mean cert_file?
labels[0].tga: unknown key; did you mean tag?
lod: unknown key; did you mean log?
log.levle: unknown key; did you mean level?
red.families.istio_requests_total.disable: unknown key; did you mean disabled?`,
	"types": `
drain.timeout: has no value: want a duration such as "10s"
exporters: want a section of keys, got "none"
ingest.als.endpoint: want a string, got 9001; put it in quotes
ingest.als.keepalive: want a section of keys, got "yes please"
ingest.als.max_concurrent_streams: want a whole number that is not negative, got -1
ingest.als.max_recv_msg_size_mib: want a whole number, got "lots"
ingest.als.tls.key_pem: want a string, got something else
ingest.als.tls.reload_interval: want a duration such as "10s", got "soon"
labels: want a list of sections, got a section of keys
log.level: want a string, got ["info"]
red.buckets: want a list of which each is a number, got [1, "two"]
red.expiry: want a duration such as "10s", got 10`,
	"values": `
admin.allowed_hosts[0]: "http://x/" is not a host name without port
admin.endpoint: 127.0.0.1:9464 is also that of prometheus.endpoint
admin.token: has fewer than 16 characters
drain.delay: -1s is negative
drain.final_scrape: -1s is negative
drain.timeout: 0s is not more than 0
ingest.als.tls: TLS configuration must include both certificate and key (CertFile/CertPem and KeyFile/KeyPem)
labels[0].name: "reporter" is a standard label: a custom tag of that name sets it without this
labels[1].name: "1st" is not a label name
log.format: "xml" is not one of text, json
log.level: "loud" is not one of debug, info, warn, error
prometheus.endpoint: 127.0.0.1:9464 is also that of ingest.als.endpoint
prometheus.transport: "quic" is not one of tcp, tcp4, tcp6, unix
push.exporters[0]: there is no "otlp/backend" in exporters
red.buckets: must not be empty
red.exclude_labels[0]: there is no label "nonsense"`,
	"mixed": `
ingest.als.endpoint: "nowhere" is not host:port
ingest.als.max_recv_msg_size_mib: want a whole number, got "lots"
log.level: "loud" is not one of debug, info, warn, error`,
	"syntax": `
testdata/syntax.bad.yaml: yaml: line 2: did not find expected key`,
	"variable": `
testdata/variable.bad.yaml: ${env:TALLYGATE_TEST_UNSET}: the environment variable is not set; ${env:TALLYGATE_TEST_UNSET:-} stands for an empty one`,
}

func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range files {
		_, err := Load(t.Context(), Sources{URIs: []string{name}})
		c, bad := strings.CutSuffix(filepath.Base(name), ".bad.yaml")
		if !bad {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		seen++
		got := "\n"
		if err != nil {
			got += err.Error()
		}
		if got != messages[c] {
			t.Errorf("%s:%s\nwant%s", name, got, messages[c])
		}
	}
	if seen != len(messages) {
		t.Errorf("%d bad files for %d messages", seen, len(messages))
	}
}

func load(t *testing.T, src Sources) *Config {
	t.Helper()
	cfg, err := Load(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestDefaultFileIsTheDefaults(t *testing.T) {
	got := load(t, Sources{})
	// A configuration has to name its policy; only the run without one has the
	// permissive example, and likewise rate limits.
	if p := got.Policy.Get(); p == nil || len(p.OPA.Paths) != 1 || p.OPA.Paths[0] != "builtin:permissive" {
		t.Errorf("the policy of the embedded default is %+v", p)
	}
	want := DefaultConfig()
	if f := want.Ingest.ForwardAuth.GetOrInsertDefault(); got.Ingest.ForwardAuth.Get() == nil || !reflect.DeepEqual(got.Ingest.ForwardAuth.Get(), f) {
		t.Errorf("the embedded default has forward_auth %+v; want %+v", got.Ingest.ForwardAuth.Get(), f)
	}
	if r := got.RateLimit.Get(); r == nil || len(r.Paths) != 1 || r.Paths[0] != descriptors.BuiltinNone {
		t.Errorf("the rate limits of the embedded default are %+v", r)
	}
	got.RateLimit = DefaultConfig().RateLimit
	got.Policy, got.Ingest.ForwardAuth = DefaultConfig().Policy, DefaultConfig().Ingest.ForwardAuth
	// Spans go nowhere unless it is said where.
	if !slices.Equal(got.Spans.Exporters, []string{"local"}) || len(got.Exporters) != 1 || len(got.Receivers) != 3 {
		t.Errorf("spans of the embedded default: %v of %v, receivers %v", got.Spans.Exporters, got.Exporters, got.Receivers)
	}
	got.Spans.Exporters, got.Exporters, got.Receivers = nil, nil, nil
	if q := want.Query.GetOrInsertDefault(); got.Query.Get() == nil || !reflect.DeepEqual(got.Query.Get(), q) {
		t.Errorf("the embedded default has query %+v; want %+v", got.Query.Get(), q)
	}
	got.Query = DefaultConfig().Query
	if changes := Diff(new(DefaultConfig()), got); len(changes) > 0 {
		t.Errorf("the embedded default differs from DefaultConfig in %v", changes)
	}
}

func TestEmptySectionsAreDefaults(t *testing.T) {
	got := load(t, Sources{URIs: []string{"testdata/empty_sections.good.yaml"}})
	if changes := Diff(new(DefaultConfig()), got); len(changes) > 0 {
		t.Errorf("empty sections changed %v", changes)
	}
}

func TestSourcesMerge(t *testing.T) {
	t.Setenv("TALLYGATE_TEST_PORT", "7001")
	t.Setenv("TALLYGATE_TEST_LEVEL", "warn")
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := load(t, Sources{
		URIs: []string{
			"testdata/everything.good.yaml",
			`yaml:ingest: {als: {endpoint: "127.0.0.1:${env:TALLYGATE_TEST_PORT}", max_concurrent_streams: "${env:TALLYGATE_TEST_PORT}"}}`,
			"yaml:admin: {token: \"${file:" + secret + "}\"}",
		},
		Sets: []string{
			"log.level=${env:TALLYGATE_TEST_LEVEL}",
			"red.buckets=[2, 4]",
			"drain.timeout=3s",
			"labels=[{name: x}]",
			"exporters.otlp/backend.endpoint=${env:TALLYGATE_TEST_NONE:-other:1}",
		},
	})
	f := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %v; want %v", what, got, want)
		}
	}
	f("endpoint", got.Ingest.ALS.Endpoint, "127.0.0.1:7001")
	f("max_concurrent_streams", got.Ingest.ALS.MaxConcurrentStreams, uint32(7001))
	f("max_recv_msg_size_mib", got.Ingest.ALS.MaxRecvMsgSizeMiB, 8) // of the first file
	f("token", string(got.Admin.Token), "0123456789abcdef0123")
	f("level", got.Log.Level, "warn")
	f("buckets", got.RED.Buckets, []float64{2, 4})
	f("timeout", got.Drain.Timeout, 3*time.Second)
	f("labels", len(got.Labels), 1)
	f("exporter", got.Exporters["otlp/backend"].(map[string]any)["endpoint"], "other:1")
	f("reload_interval", got.Ingest.ALS.TLS.Get().ReloadInterval, 30*time.Second)
}

func TestSetErrors(t *testing.T) {
	f := func(set, want string) {
		t.Helper()
		_, err := Load(t.Context(), Sources{Sets: []string{set}})
		if err == nil || err.Error() != want {
			t.Errorf("--set %s: %v\nwant %s", set, err, want)
		}
	}
	f("log.level", "--set log.level: want key.path=value")
	f("log..level=info", "--set log..level=info: the key path has an empty part")
	f("log.level=[", "--set log.level=[: the value is not YAML: yaml: line 1: did not find expected node content")
	f("log.level=nope", `log.level: "nope" is not one of debug, info, warn, error`)
	f("log.level=${env:TALLYGATE_TEST_UNSET}", "--set log.level=${env:TALLYGATE_TEST_UNSET}: ${env:TALLYGATE_TEST_UNSET}: the environment variable is not set; ${env:TALLYGATE_TEST_UNSET:-} stands for an empty one")
}

func TestMissingFile(t *testing.T) {
	_, err := Load(t.Context(), Sources{URIs: []string{"testdata/everything.good.yaml", "testdata/none.yaml"}})
	want := "testdata/none.yaml: unable to read the file file:testdata/none.yaml: open testdata/none.yaml: no such file or directory"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestChecks(t *testing.T) {
	_, err := Load(t.Context(), Sources{Sets: []string{"log.level=nope"}}, func(c *Config) error {
		return Problems{{"exporters.otlp", "endpoint is missing"}}
	})
	want := "exporters.otlp: endpoint is missing\nlog.level: \"nope\" is not one of debug, info, warn, error"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
