package als

import (
	"testing"

	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"
)

const benchEntries = 50

func perEntry(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEntries, "ns/entry")
}

func BenchmarkDecode(b *testing.B) {
	data := mustMarshal(b, sampleMessage(0, benchEntries))
	b.Run("record", func(b *testing.B) {
		r := new(record)
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			f, ok := scan(data)
			c := f.cursor()
			for e, more := c.next(); more; e, more = c.next() {
				ok = ok && r.decode(e, false)
			}
			if !ok {
				b.Fatal("malformed")
			}
		}
		perEntry(b)
	})
	b.Run("walk", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if walk(data, messageShape) < 0 {
				b.Fatal("malformed")
			}
		}
		perEntry(b)
	})
	b.Run("generated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(data, new(alsv3.StreamAccessLogsMessage)); err != nil {
				b.Fatal(err)
			}
		}
		perEntry(b)
	})
}

// shape says which fields of a message are messages to enter.
type shape map[uint64]shape

var (
	mapShape    = shape{}
	commonShape = shape{2: {1: {}}, 4: {4: {1: {}}, 5: {1: {}}}, 5: {}, 12: {}, 13: {1: {}}, 20: {1: {}}, 22: mapShape, 23: {}}
	entryShape  = shape{1: commonShape, 3: {13: mapShape}, 4: {1: {}, 4: mapShape, 5: mapShape}}
	listShape   = shape{1: entryShape}

	messageShape = shape{2: listShape}
)

// walk skips every field of every message that must be entered: the least that
// any decoder does.
func walk(b []byte, s shape) (fields int) {
	for i := 0; i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return -1
		}
		fields++
		if tag&7 == wireBytes {
			if sub, ok := s[tag>>3]; ok {
				fields += walk(b[v:end], sub)
			}
		}
		i = end
	}
	return fields
}
