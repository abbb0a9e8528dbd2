package opa

import (
	"context"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// What is remembered of tokens must be what OPA would say at any time, in any
// order of times, with any keys.
func TestTokenMemory(t *testing.T) {
	const module = `package p
allow := {"allowed": true, "dynamic_metadata": {"verified": verified, "decoded": decoded, "at": at}}
verified := [v.valid, v.claims] if {
	[valid, _, claims] := io.jwt.decode_verify(input.token, {"secret": data.secrets[input.key], "alg": "HS256"})
	v := {"valid": valid, "claims": claims}
} else := "not a token"
decoded := claims if { [_, claims, _] := io.jwt.decode(input.token) } else := "not a token"
at := v if { [v, _, _] := io.jwt.decode_verify(input.token, {"secret": data.secrets.a, "time": 1500 * 1000000000}) } else := "no"
`
	data := map[string]any{"secrets": map[string]any{"a": benchSecret, "b": "another secret that is long enough"}}
	plain := compileWith(t, Config{Entrypoint: "p/allow"}, module, data)
	plain.tokens = nil
	g := compileWith(t, Config{Entrypoint: "p/allow"}, module, data)
	f := func(token, key string, sec float64, verified bool) {
		t.Helper()
		now := time.Unix(0, int64(sec*1e9))
		input := term(ptr(valueOf(map[string]any{"token": token, "key": key})))
		for range 2 {
			want, wantExpires, err := plain.query(context.Background(), plain.entries[""], input, now)
			if err != nil {
				t.Fatal(err)
			}
			got, expires, err := g.query(context.Background(), g.entries[""], input, now)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Equal(want) || !expires.Equal(wantExpires) {
				t.Errorf("%s at %v: got %v until %v, want %v until %v", token, sec, got, expires, want, wantExpires)
			}
			if is := got.Get(termOf("dynamic_metadata")).Get(termOf("verified")).Get(termOf(0)); !is.Equal(termOf(verified)) {
				t.Errorf("%s at %v: got %v, want verified %v", token, sec, got, verified)
			}
		}
	}
	both := jwt(`{"sub":"ann","nbf":1000,"exp":2000}`)
	f(both, "a", 1500, true)
	f(both, "b", 1500, false)
	f(both, "a", 1500, true)
	f(both, "a", 1999.9, true)
	f(both, "a", 2000, false)
	f(both, "a", 1999, true) // a clock that goes back
	f(both, "a", 999, false)
	f(both, "a", 1000, true)
	f(both, "b", 1000, false)
	f(both, "a", 5000, false)
	f(both[:len(both)-2]+"xx", "a", 1500, false)
	f(jwt(`{"sub":"bob"}`), "a", 1500, true)
	f(jwt(`{"sub":"bob"}`), "a", 1e9, true)

	// Nothing is remembered of what is not a token.
	got, _, err := g.query(context.Background(), g.entries[""], term(ptr(valueOf(map[string]any{"token": "x.y", "key": "a"}))), time.Unix(1, 0))
	if err != nil || got.Get(termOf("dynamic_metadata")).Get(termOf("decoded")).String() != `"not a token"` {
		t.Errorf("got %v, %v", got, err)
	}
	if s := g.tokens.kept.Stats(); s.Entries == 0 || s.Entries > 20 {
		t.Errorf("got %+v", s)
	}
}

func ptr[T any](v T) *T { return &v }

func termOf(v any) *ast.Term { return ast.NewTerm(ast.MustInterfaceToValue(v)) }
