package extauthz

import (
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/tallygate/tallygate/mesh"
)

func newTestLens() *lens { return &lens{bodies: &bodyParser{max: 1 << 20}} }

func TestLensEqualsGeneratedDecoding(t *testing.T) {
	l := newTestLens()
	checkLens(t, l, mustMarshal(t, sampleRequest(1)))
	checkLens(t, l, mustMarshal(t, &authv3.CheckRequest{}))
	checkLens(t, l, nil)
}

func FuzzLens(f *testing.F) {
	f.Add(mustMarshal(f, sampleRequest(1)))
	f.Add(append(mustMarshal(f, tcpRequest()), mustMarshal(f, tcpRequest())...))
	l := newTestLens()
	f.Fuzz(func(t *testing.T, data []byte) { checkLens(t, l, data) })
}

func TestScalarLookupsDoNotAllocate(t *testing.T) {
	data := mustMarshal(t, sampleRequest(1))
	l := newTestLens()
	paths := []mesh.Path{
		{"attributes", "request", "http", "method"},
		{"attributes", "request", "http", "path"},
		{"attributes", "request", "http", "host"},
		{"attributes", "request", "http", "headers", "end-user"},
		{"attributes", "request", "http", "headers", "missing"},
		{"attributes", "source", "principal"},
		{"attributes", "destination", "labels", "app"},
		{"attributes", "source", "address", "socketAddress", "address"},
		{"attributes", "contextExtensions", "route"},
		{"parsed_path"},
		{"parsed_path", "0"},
		{"source_principal"},
	}
	n := testing.AllocsPerRun(100, func() {
		if !l.reset(data) {
			t.Fatal("malformed")
		}
		for _, p := range paths {
			if _, ok := l.Lookup(p); !ok && p[len(p)-1] != "missing" {
				t.Fatalf("%s: absent", p)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations; want 0", n)
	}
}

func BenchmarkLens(b *testing.B) {
	data := mustMarshal(b, sampleRequest(1))
	l := newTestLens()
	b.Run("index", func(b *testing.B) {
		for b.Loop() {
			l.reset(data)
		}
	})
	for _, p := range []mesh.Path{
		{"attributes", "request", "http", "method"},
		{"attributes", "request", "http", "headers", "end-user"},
		{"attributes", "source", "address", "socketAddress", "address"},
		{"parsed_path"},
		{},
	} {
		b.Run(p.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.path.reset()
				l.Lookup(p)
			}
		})
	}
}
