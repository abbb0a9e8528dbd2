package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
)

// reload changes the configuration file, asks for a reload and returns what the
// log says of it.
func (p *proc) reload(yaml string) string {
	p.t.Helper()
	p.write(yaml)
	before := len(p.log.String())
	p.hup <- syscall.SIGHUP
	said := ""
	p.until("the reload ends", func() bool {
		said = p.log.String()[before:]
		return strings.Contains(said, "Configuration reloaded") || strings.Contains(said, "Reload refused")
	})
	return said
}

// TestReloadTable: what is applied while running, what needs a restart, and what
// is wrong.
func TestReloadTable(t *testing.T) {
	p := startProc(t, "")
	places := regexp.MustCompile(` \([^)]*:\d+\)`)
	f := func(yaml, want string, success float64) {
		t.Helper()
		if said := places.ReplaceAllString(p.reload(yaml), ""); !strings.Contains(said, want) {
			t.Errorf("%s: %s\nwant %s", yaml, said, want)
		}
		if got := p.own("tallygate_config_last_reload_success"); got != success {
			t.Errorf("%s: tallygate_config_last_reload_success = %v; want %v", yaml, got, success)
		}
	}
	f("", `changed=[]`, 1)
	f("drain: {timeout: 3s}", `changed=[drain.timeout]`, 1)
	f("red: {expiry: 5m}", `changed="[drain.timeout red.expiry]"`, 1)
	f("labels: [{name: tenant}]", `changed="[labels red.expiry]"`, 1)
	f("red: {buckets: [1, 2]}", "needs restart: red.buckets", 0)
	f("red: {native_histograms: {enabled: true}}", "needs restart: red.native_histograms.enabled", 0)
	f("ingest: {als: {identity: strict, max_recv_msg_size_mib: 9}}", "needs restart: ingest.als.identity, ingest.als.max_recv_msg_size_mib", 0)
	f("ingest: {als: {tls: {cert_file: a, key_file: b}}}", "needs restart: ingest.als.tls", 0)
	f("admin: {allowed_hosts: [x]}\nprometheus: {write_timeout: 1s}", "needs restart: admin.allowed_hosts, prometheus.write_timeout", 0)
	f("quota: {on_error: deny, source: redis, redis: {timeout: 1s}}", "needs restart: quota.source", 0)
	f("quota: {on_error: deny, local: {max_size_mib: 1}}\ndrain: {timeout: 5s}\nlabels: [{name: tenant}]", `changed="[drain.timeout quota.local.max_size_mib quota.on_error]"`, 1)
	f("labels: [{name: tenant}]", `changed="[drain.timeout quota.local.max_size_mib quota.on_error]"`, 1)
	f("nonsense: 1", "nonsense: unknown key", 0)
	f("log: [", "did not find expected node content", 0)
	// A refused reload has changed nothing: also not what alone would be hot.
	f("log: {level: debug}\nred: {buckets: [1, 2]}", "needs restart: red.buckets", 0)
	if got := p.cfg.Load().Log.Level; got != "info" {
		t.Errorf("log level after a refused reload: %s", got)
	}
	if got := p.cfg.Load().Labels; len(got) != 1 {
		t.Errorf("labels after refused reloads: %v", got)
	}
	f("log: {level: debug}", `changed="[labels log.level]"`, 1)
}

// TestReloadSaysWhere: who must restart learns for which line.
func TestReloadSaysWhere(t *testing.T) {
	p := startProc(t, "")
	said := p.reload("log:\n  level: debug\nquota:\n  on_error: deny\n  source: redis\n  redis:\n    db: 3\n")
	if want := fmt.Sprintf("needs restart: quota.redis.db (%[1]s:7), quota.source (%[1]s:5)", p.file); !strings.Contains(said, want) {
		t.Errorf("%s\nwant %s", said, want)
	}
}

func TestReloadLabels(t *testing.T) {
	p := startProc(t, "labels: [{name: tenant}]")
	e := dialEnvoy(t, p.alsListener.Addr().String(), nil)
	tags := map[string]string{"tenant": "acme", "rule": "r1"}
	labelled := func(label string) func() bool {
		return func() bool {
			_, body := p.get(p.metricsURL())
			return sum(body, `istio_requests_total\{[^}]*`+label) > 0
		}
	}
	e.mustSend(1, tags)
	p.until("the label is there", labelled(`tenant="acme"`))
	if said := p.reload("labels: [{name: policy_rule, tag: rule}]"); !strings.Contains(said, "changed=[labels]") {
		t.Fatal(said)
	}
	e.mustSend(1, tags)
	p.until("the new label is there", labelled(`policy_rule="r1"`))
	if labelled(`tenant=`)() {
		t.Error("the old label is still there")
	}
	if labelled(`policy_rule="acme"`)() {
		t.Error("a value of the old label stands under the name of the new one")
	}
}

// TestReloadLabelsUnderLoad: every entry has the values of all the labels that
// there are when it is counted, whenever they change.
func TestReloadLabelsUnderLoad(t *testing.T) {
	p := startProc(t, "labels: [{name: tenant}]")
	ctx, cancel := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for range 3 {
		e := dialEnvoy(t, p.alsListener.Addr().String(), nil)
		senders.Go(func() {
			for ctx.Err() == nil {
				if err := e.send(100, map[string]string{"tenant": "acme", "rule": "r1"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	value := regexp.MustCompile(`istio_requests_total\{[^}]*?((?:tenant|policy_rule)="[^}]*)`)
	counted := func() (all string) {
		p.until("it counts", func() bool {
			_, all = p.get(p.metricsURL())
			return value.MatchString(all)
		})
		return all
	}
	for i, yaml := range slices.Repeat([]string{
		"labels: [{name: policy_rule, tag: rule}, {name: tenant}]", "labels: [{name: policy_rule, tag: rule}]",
		"labels: [{name: tenant}, {name: policy_rule, tag: rule}]", "labels: [{name: tenant}]",
	}, 3) {
		if said := p.reload(yaml); !strings.Contains(said, "changed=[labels]") {
			t.Fatal(said)
		}
		for _, m := range value.FindAllStringSubmatch(counted(), -1) {
			values := m[1]
			if strings.Contains(values, `tenant="`) != strings.Contains(yaml, "tenant") || strings.Contains(values, `policy_rule="`) != strings.Contains(yaml, "rule") ||
				strings.Count(values, `tenant="acme"`) != strings.Count(yaml, "tenant") || strings.Count(values, `policy_rule="r1"`) != strings.Count(yaml, "policy_rule") {
				t.Errorf("reload %d, %s: counted with %s", i, yaml, values)
			}
		}
	}
	cancel()
	senders.Wait()
}

func TestReloadExporters(t *testing.T) {
	const debug = "exporters: {debug: {}}\npush: {interval: 10ms, exporters: [debug]}\n"
	p := startProc(t, debug)
	grows := func() bool {
		_, body := p.get(p.metricsURL())
		return strings.Contains(body, `tallygate_push_points_total{exporter="debug",result="accepted"}`)
	}
	p.until("it pushes", grows)
	f := func(yaml, want string) {
		t.Helper()
		if said := p.reload(yaml); !strings.Contains(said, want) {
			t.Errorf("%s: %s\nwant %s", yaml, said, want)
		}
	}
	// The exporter cannot start: the old one goes on.
	f("exporters: {otlp/x: {endpoint: '127.0.0.1:1', tls: {ca_file: /nonexistent}}}\npush: {exporters: [otlp/x]}", "Reload refused")
	p.until("the old one pushes again", grows)
	f("exporters: {nope: {}}", "exporters.nope")
	f("exporters: {debug/two: {verbosity: basic}}\npush: {interval: 10ms, exporters: [debug/two]}", "Configuration reloaded")
	p.until("the new one pushes", func() bool {
		_, body := p.get(p.metricsURL())
		return strings.Contains(body, `exporter="debug/two",result="accepted"`) && !strings.Contains(body, `exporter="debug",result`)
	})
	f("", "Configuration reloaded")
	if grows() {
		t.Error("it still pushes")
	}
	f(debug, "Configuration reloaded")
	p.until("it pushes again", grows)
}

// TestMutualTLS: the client certificate of a stream arrives where its identity
// is judged.
func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	roots := issue(t, dir)
	p := startProc(t, fmt.Sprintf("ingest: {als: {tls: {cert_file: %[1]s/tls.crt, key_file: %[1]s/tls.key, client_ca_file: %[1]s/tls.crt}}}", dir))
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	e := dialEnvoy(t, p.alsListener.Addr().String(), credentials.NewTLS(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}))
	e.mustSend(1, nil)
	p.until("the principal is known", func() bool {
		_, body := p.get(p.adminURL("/api/v1/proxies"))
		return strings.Contains(body, `"principal":"spiffe://cluster.local/ns/default/sa/test"`)
	})
	if err := dialEnvoy(t, p.alsListener.Addr().String(), credentials.NewTLS(&tls.Config{RootCAs: roots})).open(); err == nil {
		t.Error("a client without certificate may open a stream")
	}
}

func TestReloadCertificates(t *testing.T) {
	dir := t.TempDir()
	first := issue(t, dir)
	yaml := fmt.Sprintf("ingest: {als: {tls: {cert_file: %[1]s/tls.crt, key_file: %[1]s/tls.key, reload_interval: 0s}}}", dir)
	p := startProc(t, yaml)
	connects := func(roots *x509.CertPool) error {
		e := dialEnvoy(t, p.alsListener.Addr().String(), credentials.NewTLS(&tls.Config{RootCAs: roots}))
		if err := e.send(1, nil); err != nil {
			return err
		}
		_, err := e.stream.CloseAndRecv()
		return err
	}
	if err := connects(first); err != nil {
		t.Fatal(err)
	}
	second := issue(t, dir)
	if err := connects(second); err == nil {
		t.Error("the new certificate is used before the reload")
	}
	// Nothing in the configuration has changed, only the files.
	if said := p.reload(yaml); !strings.Contains(said, "Configuration reloaded") {
		t.Fatal(said)
	}
	if err := connects(second); err != nil {
		t.Error(err)
	}
	// Broken files refuse the whole reload.
	if err := os.WriteFile(filepath.Join(dir, "tls.key"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := p.reload(yaml + "\nlog: {level: debug}"); !strings.Contains(said, "ingest.als.tls: ") {
		t.Errorf("reload with a broken key: %s", said)
	}
	if err := connects(second); err != nil {
		t.Error(err)
	}
	if got := p.cfg.Load().Log.Level; got != "info" {
		t.Errorf("log level after a refused reload: %s", got)
	}
}

// issue writes a self-signed certificate for 127.0.0.1 and its key.
func issue(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		URIs:        []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/default/sa/test"}},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, b := range map[string][]byte{"tls.crt": certPEM, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return pool
}
