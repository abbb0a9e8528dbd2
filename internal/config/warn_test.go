package config

import (
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	f := func(sets []string, want ...string) {
		t.Helper()
		var got []string
		for _, p := range load(t, Sources{Sets: sets}).Warnings() {
			got = append(got, p.String())
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q: %q; want %q", sets, got, want)
		}
	}
	f(nil)
	f([]string{"ingest.als.endpoint=localhost:1", "admin.endpoint='[::1]:2'"})
	f([]string{"ingest.als={transport: unix, endpoint: /run/als.sock}"})
	f([]string{"ingest.als.endpoint=0.0.0.0:9001", "admin.endpoint=':8282'"},
		"admin.tls: is not set and :8282 is not loopback: the bearer token crosses the network in plain text",
		"ingest.als.tls.client_ca_file: is not set and 0.0.0.0:9001 is not loopback: whoever reaches the port may report anything")
	f([]string{"ingest.extauthz.endpoint=0.0.0.0:9191"},
		"ingest.extauthz.tls.client_ca_file: is not set and 0.0.0.0:9191 is not loopback: whoever reaches the port may ask, and claim to be any proxy",
		"policy.paths: has the permissive example, and 0.0.0.0:9191 is not loopback: every request of a mesh is allowed")
	f([]string{"ingest.extauthz.endpoint=0.0.0.0:9191", "planes=[telemetry]"})
	mtls := "ingest.als.tls={cert_file: a, key_file: b, client_ca_file: c}"
	f([]string{"ingest.als.endpoint=0.0.0.0:9001", mtls, "ingest.als.identity=strict"})
	f([]string{"ingest.als.identity=strict", "exporters={debug: {}}", "spans.exporters=[]", "receivers={}"},
		"ingest.als.identity: is strict, but without tls.client_ca_file no stream has a certificate to check",
		"push.exporters: is empty, and so is spans.exporters: nothing goes to what is configured in exporters",
		"spans.exporters: is empty: receivers have nowhere to send their spans to")
}
