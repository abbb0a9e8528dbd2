//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
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

// example reads an example and puts the bed's certificates and addresses in the
// place of those that only a cluster has.
func example(t *testing.T, name string, id *testbed.Identity, replace ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "examples", "envoy", name))
	if err != nil {
		t.Fatal(err)
	}
	replace = append(replace, "/etc/certs/cert.pem", id.Cert, "/etc/certs/key.pem", id.Key, "/etc/certs/root.pem", id.Root)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(b), replace[i]) {
			t.Fatalf("%s no longer holds %q", name, replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(string(b))
}

func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	id, err := NewCA(t).Issue("example", testbed.SPIFFE("shop", "example"))
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob(filepath.Join("..", "..", "examples", "envoy", "*.yaml"))
	if err != nil || len(examples) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, path := range examples {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer("/etc/certs/cert.pem", id.Cert, "/etc/certs/key.pem", id.Key, "/etc/certs/root.pem", id.Root).Replace(string(b))
		ours := filepath.Join(Bed(t).Dir, filepath.Base(path))
		if err := os.WriteFile(ours, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := Bed(t).ValidateEnvoy(t.Context(), ours); err != nil {
			t.Error(err)
		}
	}
}

// The examples work as they stand, once their addresses and certificates are
// this machine's: a request through both is reported by both, with every label
// that identifies its ends.
//
//	request ─▶ [source.yaml] ─mTLS─▶ [destination.yaml] ─▶ app
//	                └──────ALS──▶ tallygate ◀──ALS──┘
func TestExamplesWork(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(app.Close)
	tg := StartTallygate(t, testbed.TallygateConfig{})
	ca, b := NewCA(t), Bed(t)
	issue := func(name string) *testbed.Identity {
		id, err := ca.Issue(name, testbed.SPIFFE("shop", name))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	sourceIP, destinationIP := b.IP(1), b.IP(2)
	address := func(ip string, port int) string { return fmt.Sprintf("address: %s, port_value: %d", ip, port) }
	free := func(ip string) (at string, addr string) {
		port, err := testbed.FreePort(ip)
		if err != nil {
			t.Fatal(err)
		}
		return address(ip, port), fmt.Sprintf("%s:%d", ip, port)
	}
	at := func(addr string) string {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		return "address: " + host + ", port_value: " + port
	}
	inbound, _ := free(destinationIP)
	outbound, entrance := free(sourceIP)
	// The machine's pods have addresses of their own: an Envoy's connections come from its own.
	bind := func(ip string) []string {
		return []string{"- name: tallygate\n", "- name: tallygate\n    upstream_bind_config: {source_address: {address: " + ip + ", port_value: 0}}\n"}
	}
	logs := []string{"address: tallygate, port_value: 9001", at(tg.ALS)}
	StartEnvoy(t, testbed.EnvoyConfig{Name: "destination", Bootstrap: admin + example(t, "destination.yaml", issue("backend"),
		append(append(bind(destinationIP), logs...), "10.0.0.2", destinationIP, "address: 0.0.0.0, port_value: 15006", inbound,
			"address: 127.0.0.1, port_value: 8080", at(app.Listener.Addr().String()))...)})
	StartEnvoy(t, testbed.EnvoyConfig{Name: "source", Bootstrap: admin + example(t, "source.yaml", issue("frontend"),
		append(append(bind(sourceIP), logs...), "10.0.0.1", sourceIP, "address: 127.0.0.1, port_value: 15001", outbound,
			"address: backend, port_value: 15006", inbound)...)})

	Eventually(t, 30*time.Second, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+entrance+"/", nil)
		if err != nil {
			return err
		}
		req.Host = "backend.shop.svc.cluster.local"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusTeapot {
			return testbed.Permanent(errors.New(resp.Status))
		}
		series, err := tg.Scrape(ctx, "istio_requests_total")
		if err != nil {
			return err
		}
		for _, reporter := range []string{"source", "destination"} {
			if testbed.Sum(series, "istio_requests_total", "reporter="+reporter, "response_code=418",
				"source_workload=frontend-v1", "source_workload_namespace=shop", "source_principal="+testbed.SPIFFE("shop", "frontend"),
				"destination_workload=backend-v1", "destination_workload_namespace=shop", "destination_principal="+testbed.SPIFFE("shop", "backend"),
				"destination_service=backend.shop.svc.cluster.local", "destination_service_name=backend", "destination_canonical_service=backend",
				"source_cluster=east", "destination_cluster=east", "source_app=frontend", "destination_version=v1") == 0 {
				return fmt.Errorf("nothing from %s in %v", reporter, series)
			}
		}
		return nil
	})
}

// admin is what the examples do without.
const admin = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n"
