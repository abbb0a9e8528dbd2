//go:build e2e

package e2e

import (
	"testing"

	"github.com/tallygate/tallygate/test/testbed"
)

const twoHops = `client client
  frontend server
    frontend client
      backend server
`

// toJaeger is an exporter to a Jaeger over OTLP.
func toJaeger(j *testbed.Jaeger) object {
	return object{"otlp/jaeger": object{"endpoint": j.OTLP, "tls": object{"insecure": true}}}
}

func everything() object {
	return object{"sampling": object{"head": object{"ratio": 1}}}
}

// TestSpansOfLogs: proxies without a tracer, spans from their access logs.
func TestSpansOfLogs(t *testing.T) {
	t.Parallel()
	j := StartJaeger(t, testbed.JaegerConfig{})
	w := startTraced(t, tracedConfig{tracer: testbed.TracerNone, exporters: toJaeger(j), spans: everything()})
	w.get(t, "/next/status/418", 418)
	tr := findTrace(t, &testbed.JaegerAPI{URL: j.URL}, "backend", "http.response.status_code=418", 4)
	if got := tr.Tree(); got != twoHops {
		t.Errorf("the tree is\n%swant\n%s", got, twoHops)
	}
}

// TestSpansOfTracers: proxies that trace send their own spans; the access logs make
// none beside them.
func TestSpansOfTracers(t *testing.T) {
	t.Parallel()
	for _, tracer := range []testbed.Tracer{testbed.TracerOpenTelemetry, testbed.TracerZipkin} {
		t.Run("tracer "+string(tracer), func(t *testing.T) {
			j := StartJaeger(t, testbed.JaegerConfig{})
			w := startTraced(t, tracedConfig{tracer: tracer, exporters: toJaeger(j), spans: everything()})
			w.get(t, "/next/status/418", 418)
			tr := findTrace(t, &testbed.JaegerAPI{URL: j.URL}, "backend"+suffix(tracer), "http.status_code=418", 4)
			t.Log(tr.Tree())
		})
	}
}

func suffix(tracer testbed.Tracer) string {
	if tracer == testbed.TracerZipkin {
		return "." + testbed.Namespace // the cluster of the node
	}
	return ""
}
