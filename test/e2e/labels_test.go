//go:build e2e

package e2e

import (
	"maps"
	"slices"
	"testing"

	"github.com/tallygate/tallygate/test/testbed"
)

// The 25 labels as Istio would have them, on both reporters of one hop.
func testLabels(t *testing.T, w *world) {
	want := map[string]string{
		"source_workload":                "client-v1",
		"source_canonical_service":       "client",
		"source_canonical_revision":      "v1",
		"source_workload_namespace":      "shop",
		"source_principal":               testbed.SPIFFE("shop", "client"),
		"source_app":                     "client",
		"source_version":                 "v1",
		"source_cluster":                 "east",
		"destination_workload":           "frontend-v1",
		"destination_workload_namespace": "shop",
		"destination_principal":          testbed.SPIFFE("shop", "frontend"),
		"destination_app":                "frontend",
		"destination_version":            "v1",
		"destination_service":            testbed.HostFrontend,
		"destination_canonical_service":  "frontend",
		"destination_canonical_revision": "v1",
		"destination_service_name":       "frontend",
		"destination_service_namespace":  "shop",
		"destination_cluster":            "east",
		"request_protocol":               "http",
		"response_code":                  "404",
		"grpc_response_status":           "",
		"response_flags":                 "-",
	}
	for reporter, security := range map[string]string{"source": "unknown", "destination": "mutual_tls"} {
		series := mustQuery(t, w, `istio_requests_total{reporter="`+reporter+`", source_workload="client-v1", response_code="404"}`)
		if len(series) != 1 {
			t.Errorf("%d series of %s; want 1", len(series), reporter)
			continue
		}
		got := series[0].Labels
		for _, ours := range []string{"__name__", "job", "instance", "tenant"} {
			delete(got, ours)
		}
		want := maps.Clone(want)
		want["reporter"], want["connection_security_policy"] = reporter, security
		if len(want) != 25 {
			t.Fatalf("%d labels; Istio has 25", len(want))
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if got[name] != want[name] {
				t.Errorf("%s: %s is %q; want %q", reporter, name, got[name], want[name])
			}
			delete(got, name)
		}
		if len(got) > 0 {
			t.Errorf("%s: labels that Istio does not have: %v", reporter, got)
		}
	}
	if n := one(t, w, "count(count by (component) (istio_build))"); n == 0 {
		t.Error("no istio_build")
	}
}
