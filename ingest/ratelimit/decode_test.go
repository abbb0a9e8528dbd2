package ratelimit

import (
	"strings"
	"testing"
	"unicode/utf8"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/ingest/wire/wiretest"
	"github.com/tallygate/tallygate/mesh"
)

// oracle is what the generated code makes of a message.
func oracle(b []byte) (domain string, ds []mesh.Descriptor, refused string) {
	m := new(rlsv3.RateLimitRequest)
	if proto.Unmarshal(b, m) != nil {
		return "", nil, refusedMalformed
	}
	for _, d := range m.Descriptors {
		x := mesh.Descriptor{Refund: d.IsNegativeHits, Cost: uint64(max(m.HitsAddend, 1))}
		for _, e := range d.Entries {
			x.Entries = append(x.Entries, mesh.DescriptorEntry{Key: e.Key, Value: e.Value})
		}
		if d.HitsAddend != nil {
			x.Cost = d.HitsAddend.Value
		}
		if l := d.Limit; l != nil {
			if l.Unit <= 0 || l.Unit > 7 || l.UnitMultiplier != nil && l.UnitMultiplier.Value == 0 {
				return "", nil, refusedOverride
			}
			x.Override = mesh.LimitOverride{Requests: l.RequestsPerUnit, Unit: mesh.LimitUnit(l.Unit), Multiplier: l.UnitMultiplier.GetValue()}
		}
		ds = append(ds, x)
	}
	return m.Domain, ds, ""
}

// checkDecode compares; r was used before.
func checkDecode(t testing.TB, r *request, b []byte) (accepted bool) {
	t.Helper()
	refused := r.decode(b)
	domain, ds, want := oracle(b)
	if refused == refusedTooMany || want == refusedMalformed && refused != refusedMalformed && hasBadText(b) {
		return false // bounds and invalid UTF-8 are our own
	}
	if want != "" || refused != "" {
		// The order in which two things are found wrong is nobody's business.
		if (want == "") != (refused == "") {
			t.Fatalf("decode(%x) = %q; the generated code says %q", b, refused, want)
		}
		return false
	}
	if r.Domain != domain || len(r.Descriptors) != len(ds) {
		t.Fatalf("decode(%x): domain %q, %d descriptors; want %q, %d", b, r.Domain, len(r.Descriptors), domain, len(ds))
	}
	for i := range ds {
		got, want := &r.Descriptors[i], &ds[i]
		if got.Cost != want.Cost || got.Refund != want.Refund || got.Override != want.Override || len(got.Entries) != len(want.Entries) {
			t.Fatalf("decode(%x): descriptor %d is %+v; want %+v", b, i, got, want)
		}
		for j := range want.Entries {
			if got.Entries[j] != want.Entries[j] {
				t.Fatalf("decode(%x): entry %d of descriptor %d is %q; want %q", b, j, i, got.Entries[j], want.Entries[j])
			}
		}
	}
	return true
}

// hasBadText reports whether the generated code may have refused b for a text
// that is not UTF-8.
func hasBadText(b []byte) bool { return !utf8.Valid(b) }

var wireStrings = []string{"", "a", "users", "database", strings.Repeat("long ", 40)}

func TestDecodeRandomWire(t *testing.T) {
	r, accepted := new(request), 0
	md := new(rlsv3.RateLimitRequest).ProtoReflect().Descriptor()
	const n = 20_000
	for seed := range uint64(n) {
		w := wiretest.New(seed, wireStrings, 6)
		// Most numbers are no unit: write one that is, most of the time.
		w.Submessage = func(w *wiretest.Writer, md protoreflect.MessageDescriptor) ([]byte, bool) {
			if md.Name() != "RateLimitOverride" || w.IntN(4) == 0 {
				return nil, false
			}
			return wire.AppendVarint(w.Message(md, 5), 2, uint64(1+w.IntN(8))), true
		}
		b := w.Message(md, 0)
		if checkDecode(t, r, b) {
			accepted++
		}
		if len(b) > 0 {
			checkDecode(t, r, b[:w.IntN(len(b))])
		}
	}
	if accepted < n/2 {
		t.Errorf("of %d messages %d are accepted: the test tests little", n, accepted)
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range samples() {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := new(request)
		checkDecode(t, r, b)
		checkDecode(t, r, b)
	})
}

func samples() []*rlsv3.RateLimitRequest {
	full := requestOf("envoy", "database=users", "plan=gold,user=someone", "=")
	full.HitsAddend = 3
	full.Descriptors[0].HitsAddend = wrapperspb.UInt64(0)
	full.Descriptors[1].IsNegativeHits = true
	full.Descriptors[1].Limit = &commonv3.RateLimitDescriptor_RateLimitOverride{
		RequestsPerUnit: 10, Unit: typev3.RateLimitUnit_HOUR, UnitMultiplier: wrapperspb.UInt32(2),
	}
	return []*rlsv3.RateLimitRequest{full, requestOf("d", "a=b"), {}}
}

func TestDecodeSamples(t *testing.T) {
	r := new(request)
	for _, m := range samples() {
		if !checkDecode(t, r, mustMarshal(t, m)) {
			t.Errorf("%v is not accepted", m)
		}
	}
}

func TestDecodeBounds(t *testing.T) {
	r := new(request)
	f := func(want string, b []byte) {
		t.Helper()
		if got := r.decode(b); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
	many := func(n int, field []byte) (b []byte) {
		for range n {
			b = append(b, field...)
		}
		return b
	}
	f("", many(maxDescriptors, []byte{2<<3 | wire.Bytes, 0}))
	f(refusedTooMany, many(maxDescriptors+1, []byte{2<<3 | wire.Bytes, 0}))
	entries := func(n int) []byte { return wire.AppendMessage(nil, 2, many(n, []byte{1<<3 | wire.Bytes, 0})) }
	f("", entries(maxEntries))
	f(refusedTooMany, entries(maxEntries+1))
	f(refusedTooMany, append(entries(maxEntries), entries(1)...))
	if r.trim(); cap(r.Descriptors) != 0 || cap(r.Scratch) != 0 {
		t.Error("an unusual request leaves its memory behind")
	}
	override := func(unit uint64) []byte {
		return wire.AppendMessage(nil, 2, wire.AppendMessage(nil, 2, wire.AppendVarint(nil, 2, unit)))
	}
	f("", override(7))
	f(refusedOverride, override(0))
	f(refusedOverride, override(8))
	f(refusedOverride, override(1<<64-1))
}

func BenchmarkDecode(b *testing.B) {
	data := mustMarshal(b, requestOf("envoy", "database=users", "plan=gold,user=someone"))
	b.Run("hand", func(b *testing.B) {
		r := new(request)
		b.ReportAllocs()
		for b.Loop() {
			if r.decode(data) != "" {
				b.Fatal("refused")
			}
		}
	})
	b.Run("generated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(data, new(rlsv3.RateLimitRequest)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
