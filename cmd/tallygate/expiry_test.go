package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/opa"
)

// expiryTTL is longer than anything in the test is valid: what ends earlier must
// end by itself.
const expiryTTL = time.Hour

// judgeOverTime gives the decider the same question every second for a minute,
// and wants what a fresh evaluation says each time. It returns how many of the
// answers were hits, and when the verdicts were others than a second before.
func judgeOverTime(t *testing.T, module string, input func(now time.Time) string) (hits int, changes []int) {
	t.Helper()
	cfg := policy.DefaultConfig()
	cfg.Cache.DefaultTTL, cfg.Cache.MaxTTL, cfg.Cache.DenyTTL = expiryTTL, expiryTTL, expiryTTL
	d, err := policy.New(cfg, policy.Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	rulesConfig := opa.DefaultConfig()
	g, err := opa.CompileSources(t.Context(), &rulesConfig, &opa.Sources{Modules: map[string]string{"p.rego": "package envoy.authz\n\n" + module}})
	if err != nil {
		t.Fatalf("%v\n%s", err, module)
	}
	d.Activate(rules{g})
	text := input(time.Now())
	before := false
	for second := range 60 {
		in, err := policy.ParseInput([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Decide(t.Context(), &mesh.Query{Request: in})
		if err != nil {
			t.Fatal(err)
		}
		want, err := g.Evaluate(t.Context(), "", in)
		if err != nil {
			t.Fatal(err)
		}
		if got.Allowed != want.Verdict.Allowed {
			t.Errorf("%s\nsecond %d, hit %t: %t; want %t", module, second, got.Hit, got.Allowed, want.Verdict.Allowed)
		}
		if got.Hit {
			hits++
		}
		if second > 0 && got.Allowed != before {
			changes = append(changes, second)
		}
		before = got.Allowed
		time.Sleep(time.Second)
	}
	return hits, changes
}

// TestTokensExpireInTheCache: a decision that a token led to is kept as long as
// the token stays what it is, whichever way the policy looks at it.
func TestTokensExpireInTheCache(t *testing.T) {
	f := func(module, claims string, wantHits int, wantChanges ...int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			hits, changes := judgeOverTime(t, module, func(now time.Time) string {
				at := func(seconds int64) string { return fmt.Sprint(now.Unix() + seconds) }
				return fmt.Sprintf(`{"token": %q}`, signedToken(strings.NewReplacer("+10", at(10), "+40", at(40)).Replace(claims)))
			})
			if hits != wantHits || fmt.Sprint(changes) != fmt.Sprint(wantChanges) {
				t.Errorf("%s\n%s: %d hits, changes at %v; want %d, %v", module, claims, hits, changes, wantHits, wantChanges)
			}
		})
	}
	const verified = `default allow := false
allow if io.jwt.decode_verify(input.token, {"secret": "secret"})[0]`
	const decoded = `default allow := false
allow if {
	claims := io.jwt.decode(input.token)[1]
	claims.exp > time.now_ns() / 1000000000
}`
	f(verified, `{"sub": "a"}`, 59)
	f(verified, `{"exp": +40}`, 58, 40)
	f(verified, `{"exp": +10}`, 58, 10)
	f(verified, `{"nbf": +10}`, 58, 10)
	f(verified, `{"nbf": +10, "exp": +40}`, 57, 10, 40)
	f(decoded, `{"exp": +40}`, 0, 40) // it asks for the time itself
}

// signedToken is an HS256 token of the key "secret".
func signedToken(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	signed := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part([]byte(claims))
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte(signed))
	return signed + "." + part(mac.Sum(nil))
}

// TestCertificatesExpireInTheCache: built-ins that hold certificates against the
// clock keep decisions out of the cache, unless the policy states a TTL.
func TestCertificatesExpireInTheCache(t *testing.T) {
	f := func(module string, wantHits int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			hits, changes := judgeOverTime(t, module, func(now time.Time) string {
				b, err := json.Marshal(map[string]string{"chain": chain(t, now.Add(10*time.Second), now.Add(40*time.Second))})
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			})
			if hits != wantHits || fmt.Sprint(changes) != "[10 41]" {
				t.Errorf("%s: %d hits, changes at %v; want %d, [10 41]", module, hits, changes, wantHits)
			}
		})
	}
	f(`default allow := false
allow if crypto.x509.parse_and_verify_certificates(input.chain)[0]`, 0)
	f(`default allow := false
allow if crypto.x509.parse_and_verify_certificates_with_options(input.chain, {})[0]`, 0)
}

// chain is a root and a leaf in PEM, the leaf valid from and until.
func chain(t *testing.T, from, until time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: from.Add(-time.Hour), NotAfter: until.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: from, NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	var out []byte
	for _, c := range []*x509.Certificate{root, leaf} {
		der, err := x509.CreateCertificate(rand.Reader, c, root, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return string(out)
}
