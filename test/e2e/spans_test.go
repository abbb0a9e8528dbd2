//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

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
			if got := strings.ReplaceAll(tr.Tree(), suffix(tracer)+" ", " "); got != twoHops {
				t.Errorf("the tree is\n%swant\n%s", got, twoHops)
			}
		})
	}
}

// TestSpansOfTrouble: nothing is sampled by ratio, and what fails, is denied or is
// slow has the spans of its hops all the same, both sides of each.
func TestSpansOfTrouble(t *testing.T) {
	t.Parallel()
	const policy = `package envoy.authz
default allow := {"allowed": true}
allow := {"allowed": false, "http_status": 403} if startswith(input.attributes.request.http.path, "/status/299")
`
	for _, tracer := range []testbed.Tracer{testbed.TracerOpenTelemetry, testbed.TracerZipkin, testbed.TracerNone} {
		t.Run("tracer "+string(tracer), func(t *testing.T) {
			j := StartJaeger(t, testbed.JaegerConfig{})
			api := &testbed.JaegerAPI{URL: j.URL}
			w := startTraced(t, tracedConfig{
				tracer: tracer, sampleNone: true, policy: policy, exporters: toJaeger(j),
				spans: object{"sampling": object{"slow": object{"over": "200ms"}}},
			})
			const oneHop = "client client\n  frontend server\n"
			f := func(path string, code int, service, tag, tree string) testbed.Trace {
				t.Helper()
				w.get(t, path, code)
				tr := findTrace(t, api, service, tag, strings.Count(tree, "\n"))
				if got := tr.Tree(); got != tree {
					t.Errorf("%s: the tree is\n%swant\n%s", path, got, tree)
				}
				return tr
			}
			f("/status/503", 503, "client", "http.response.status_code=503", oneHop)
			f("/next/status/500", 500, "client", "http.response.status_code=500", twoHops)
			f("/hang/250?slow", 200, "frontend", "url.path=/hang/250", oneHop)
			denied := f("/status/299", 403, "client", "http.response.status_code=403", oneHop)
			for _, s := range denied.Spans {
				if server := s.Tag("span.kind") == "server"; server != (s.Tag("decision_id") != "") || server != (s.Tag("response_flags") == "UAEX") {
					t.Errorf("span %+v of a denied request: the side that asked has the decision", s)
				}
			}
			w.get(t, "/status/200", 200)
			Eventually(t, 30*time.Second, func(ctx context.Context) error {
				a, err := w.account(ctx, "otlp/jaeger")
				if err == nil && (a.queued > 0 || a.dropped > 0) {
					err = fmt.Errorf("%+v", a)
				}
				return errors.Join(err, a.check())
			})
			list, err := api.Find(t.Context(), url.Values{"service": {"frontend"}})
			if err != nil {
				t.Fatal(err)
			}
			for _, tr := range list {
				for _, s := range tr.Spans {
					if s.Tag("http.response.status_code") == "200" && s.Duration < 200_000 && s.Tag("url.path") == "/status/200" {
						t.Errorf("a request that went well has a span: %+v", s)
					}
				}
			}
		})
	}
}

func suffix(tracer testbed.Tracer) string {
	if tracer == testbed.TracerZipkin {
		return "." + testbed.Namespace // the cluster of the node
	}
	return ""
}
