package red

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

func TestValidate(t *testing.T) {
	f := func(change func(*Config), want ...string) {
		t.Helper()
		cfg := DefaultConfig()
		change(&cfg)
		err := cfg.Validate()
		if err == nil {
			err = cfg.ValidateLabels([]mesh.CustomLabel{{Name: "rule"}})
		}
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != strings.Join(want, "\n") {
			t.Errorf("Validate:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
		}
	}
	f(func(*Config) {})
	f(func(c *Config) {
		c.ExcludeLabels = []string{"rule", "source_app"}
		c.Families = map[string]FamilyConfig{MetricRequestBytes: {ExcludeLabels: []string{"rule"}, Buckets: []float64{1, 2}}}
	})
	f(func(c *Config) { c.Buckets = nil }, "buckets: must not be empty")
	f(func(c *Config) { c.Buckets = []float64{1, 5, 5} }, "buckets: 5 follows 5: they must rise")
	f(func(c *Config) { c.Buckets = []float64{0, 5} }, "buckets: 0 is not a positive number (+Inf is always there)")
	f(func(c *Config) { c.Buckets = []float64{5, math.Inf(1)} }, "buckets: +Inf is not a positive number (+Inf is always there)")
	f(func(c *Config) { c.Buckets = []float64{math.NaN()} }, "buckets: NaN is not a positive number (+Inf is always there)")
	f(func(c *Config) {
		c.Buckets = make([]float64, 201)
	}, "buckets: there are 201, at most 200 may be")
	f(func(c *Config) {
		c.ExcludeLabels = []string{"source_app", "sauce"}
		c.Families = map[string]FamilyConfig{MetricRequests: {ExcludeLabels: []string{"tenant"}}}
	}, `exclude_labels[1]: there is no label "sauce"`,
		`families::istio_requests_total::exclude_labels[0]: there is no label "tenant"`)
	f(func(c *Config) { // every problem at once
		c.ByteBuckets = "fine"
		c.Families = map[string]FamilyConfig{
			"istio_request_total": {},
			MetricRequests:        {Buckets: []float64{1}},
			MetricRequestBytes:    {Buckets: []float64{2, 1}},
		}
		c.Expiry, c.ZeroFor = 0, -time.Second
		c.MaxSeries, c.MaxLabelValues = 0, 0
		c.NativeHistograms = NativeConfig{Factor: 1, MaxBuckets: 1}
	}, `byte_buckets: "fine" is neither "envoy" nor "coarse"`,
		"families::istio_request_bytes::buckets: 1 follows 2: they must rise",
		"families::istio_request_total: there is no such family",
		"families::istio_requests_total::buckets: the family is a counter",
		"zero_for: must not be negative, is -1s",
		"expiry: must be at least 1s, is 0s",
		"max_series: must be at least 1, is 0",
		"max_label_values: must be at least 1, is 0",
		"native_histograms::factor: must be above 1, is 1",
		"native_histograms::max_buckets: must be between 8 and 1000, is 1")
	f(func(c *Config) { c.Expiry = 15 * time.Second },
		"expiry: must be longer than zero_for (15s), is 15s: a series would end before its first value is shown")
}

func TestValidateCustomLabels(t *testing.T) {
	f := func(labels []mesh.CustomLabel, want string) {
		t.Helper()
		got := ""
		if err := ValidateCustomLabels(labels); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ValidateCustomLabels(%v): %q; want %q", labels, got, want)
		}
	}
	f(nil, "")
	f([]mesh.CustomLabel{{Name: "rule"}, {Name: "_tenant2", Tag: "x"}}, "")
	f([]mesh.CustomLabel{{Name: "policy_rule", Metadata: "envoy.filters.http.ext_authz:policy_rule"}}, "")
	f([]mesh.CustomLabel{{Name: "a", Metadata: "policy_rule"}, {Name: "b", Tag: "t", Metadata: "f:k"}},
		`[0]::metadata: "policy_rule" is not <filter>:<key>, as envoy.filters.http.ext_authz:policy_rule
[1]::metadata: the label has a tag too; it has one source`)
	f([]mesh.CustomLabel{{Name: "my-rule"}, {Name: "2nd"}}, `[0]::name: "my-rule" is not a label name
[1]::name: "2nd" is not a label name`)
	f([]mesh.CustomLabel{{Name: "le"}, {Name: "__x"}}, `[0]::name: "le" is reserved by Prometheus
[1]::name: "__x" is reserved by Prometheus`)
	f([]mesh.CustomLabel{{Name: "source_app"}}, `[0]::name: "source_app" is a standard label: a custom tag of that name sets it without this`)
	f([]mesh.CustomLabel{{Name: "a"}, {Name: "a"}}, `[1]::name: "a" is there twice`)
	if err := ValidateCustomLabels(make([]mesh.CustomLabel, MaxCustomLabels+1)); err == nil {
		t.Error("ValidateCustomLabels takes more labels than a table does")
	}
}
