package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestReadVarint(t *testing.T) {
	f := func(b string, want uint64, end int) {
		t.Helper()
		if v, n := ReadVarint([]byte(b), 0); n != end || n > 0 && v != want {
			t.Errorf("ReadVarint(%x) = %d, %d; want %d, %d", b, v, n, want, end)
		}
	}
	f("\x00", 0, 1)
	f("\x7f", 127, 1)
	f("\xff\x01", 255, 2)
	f("\x80\x00", 0, 2)
	f("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 1<<64-1, 10)
	f("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 0, -1)
	f("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80\x01", 0, -1)
	f("\xff", 0, -1)
	f("", 0, -1)
}

// checkFields walks b as protowire does, and compares field by field. b is cut
// from a larger buffer, as messages are.
func checkFields(t *testing.T, b []byte) {
	t.Helper()
	for i := 0; i < len(b); {
		num, typ, n := protowire.ConsumeField(b[i:])
		if num > protowire.MaxValidNumber { // protowire lets them pass for MessageSet, the generated code does not
			n = -1
		}
		tag, v, end := Next(b, i)
		if n < 0 || end < 0 {
			if n >= 0 || end >= 0 {
				t.Fatalf("Next(%x, %d) ends at %d; protowire says %d", b, i, end, n)
			}
			return
		}
		if end != i+n || tag != protowire.EncodeTag(num, typ) {
			t.Fatalf("Next(%x, %d) = tag %d, end %d; want %d, %d", b, i, tag, end, protowire.EncodeTag(num, typ), i+n)
		}
		_, _, head := protowire.ConsumeTag(b[i:])
		switch typ {
		case protowire.VarintType:
			if want, _ := protowire.ConsumeVarint(b[i+head:]); v != want {
				t.Fatalf("Next(%x, %d) = %d; want %d", b, i, v, want)
			}
		case protowire.BytesType:
			if want, _ := protowire.ConsumeBytes(b[i+head:]); !bytes.Equal(b[v:end], want) {
				t.Fatalf("Next(%x, %d) = %x; want %x", b, i, b[v:end], want)
			}
		}
		if s, sv, se := Short(b, i); se >= 0 && (s != tag || sv != v || se != end) {
			t.Fatalf("Short(%x, %d) = %d, %d, %d; want %d, %d, %d", b, i, s, sv, se, tag, v, end)
		}
		i = end
	}
}

func FuzzNext(f *testing.F) {
	f.Add([]byte("\x0a\x03abc\x10\x80\x01\x1d1234\x2112345678\x2b\x08\x01\x2c"), 3)
	f.Fuzz(func(t *testing.T, b []byte, beyond int) {
		checkFields(t, b)
		if n := len(b) - beyond; beyond > 0 && n > 0 {
			checkFields(t, b[:n])
		}
	})
}

func TestNextOfRandomBytes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	// The bytes that matter: small tags and lengths, and what continues a varint.
	pick := []byte{0, 1, 2, 3, 8, 0x0a, 0x0b, 0x0c, 0x0d, 0x10, 0x12, 0x7f, 0x80, 0x81, 0x82, 0xff}
	for range 200_000 {
		b := make([]byte, 1+rnd.IntN(24))
		for i := range b {
			b[i] = pick[rnd.IntN(len(pick))]
		}
		checkFields(t, b)
		checkFields(t, b[:rnd.IntN(len(b))])
	}
}

func TestAppend(t *testing.T) {
	b := AppendVarint(nil, 1, 300)
	b = AppendString(b, 2, "x")
	b = AppendMessage(b, 3, []byte{8, 1})
	want := []byte{8, 0xac, 2, 0x12, 1, 'x', 0x1a, 2, 8, 1}
	if !bytes.Equal(b, want) {
		t.Errorf("got %x; want %x", b, want)
	}
	if n := FieldSize(200); n != len(AppendMessage(nil, 15, make([]byte, 200))) {
		t.Errorf("FieldSize(200) = %d", n)
	}
}
