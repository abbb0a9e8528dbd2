package als

import (
	"context"
	"syscall"
	"testing"
	"time"

	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/protobuf/proto"
)

const benchEntries = 50

// perEntry reports CPU time, which says more than wall time on a machine that
// has other work.
func perEntry(b *testing.B) (report func()) {
	before := cpuTime(b)
	return func() {
		b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/benchEntries, "cpu-ns/entry")
	}
}

func cpuTime(b *testing.B) int64 {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		b.Fatal(err)
	}
	return ru.Utime.Nano() + ru.Stime.Nano()
}

func BenchmarkDecode(b *testing.B) {
	data := mustMarshal(b, sampleMessage(0, benchEntries))
	b.Run("record", func(b *testing.B) {
		r := new(record)
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		report := perEntry(b)
		for b.Loop() {
			f, ok := scan(data)
			r.begin()
			c := f.cursor()
			for e, more := c.next(); more; e, more = c.next() {
				ok = ok && r.decode(e, false)
			}
			if !ok {
				b.Fatal("malformed")
			}
		}
		report()
	})
	b.Run("walk", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		report := perEntry(b)
		for b.Loop() {
			if walk(data, walkMessage) < 0 {
				b.Fatal("malformed")
			}
		}
		report()
	})
	b.Run("generated", func(b *testing.B) {
		b.ReportAllocs()
		report := perEntry(b)
		for b.Loop() {
			if err := proto.Unmarshal(data, new(alsv3.StreamAccessLogsMessage)); err != nil {
				b.Fatal(err)
			}
		}
		report()
	})
}

// walkSet says which fields of a message are messages to enter; the fields of
// AccessLogCommon are below 64.
type walkSet struct {
	enter uint64
	sub   [24]*walkSet
}

func enter(subs map[int]*walkSet) *walkSet {
	s := new(walkSet)
	for field, sub := range subs {
		s.enter |= 1 << field
		s.sub[field] = sub
	}
	return s
}

var (
	walkLeaf    = new(walkSet)
	walkAddress = enter(map[int]*walkSet{1: walkLeaf})
	walkCert    = enter(map[int]*walkSet{1: walkLeaf})
	walkMessage = enter(map[int]*walkSet{2: enter(map[int]*walkSet{1: enter(map[int]*walkSet{
		1: enter(map[int]*walkSet{
			2: walkAddress, 4: enter(map[int]*walkSet{4: walkCert, 5: walkCert}), 5: walkLeaf, 12: walkLeaf,
			13: walkAddress, 20: walkAddress, 22: walkLeaf, 23: walkLeaf,
		}),
		3: enter(map[int]*walkSet{13: walkLeaf}),
		4: enter(map[int]*walkSet{1: walkLeaf, 4: walkLeaf, 5: walkLeaf}),
	})})})
)

// walk skips every field of every message that must be entered: the least that
// any decoder does.
func walk(b []byte, s *walkSet) (fields int) {
	for i := 0; i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return -1
		}
		fields++
		if tag&7 == wireBytes && s.enter>>(tag>>3)&1 != 0 {
			fields += walk(b[v:end], s.sub[tag>>3])
		}
		i = end
	}
	return fields
}

// discard is a sink that counts nothing.
type discard struct{}

func (discard) Consume(context.Context, *mesh.Batch) error { return nil }

// BenchmarkMessage is the whole way from a frame to the sink.
func BenchmarkMessage(b *testing.B) {
	data := mustMarshal(b, sampleMessage(0, benchEntries))
	first := sampleMessage(0, 0)
	first.Identifier = &alsv3.StreamAccessLogsMessage_Identifier{Node: sampleNode(b), LogName: "mesh"}
	s, _ := newTestServer(b, discard{}, nil)
	st := s.newStream(b.Context(), time.Now())
	if err := st.message(mustMarshal(b, first), time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	report := perEntry(b)
	for b.Loop() {
		if err := st.message(data, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	report()
}
