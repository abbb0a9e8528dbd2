package als

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

const benchEntries = 50

// benchFrames are messages whose entries differ in what differs in life: times,
// sizes, ids, ports, the order of maps. There are too many for a branch predictor
// to learn them by heart.
func benchFrames(b *testing.B) (frames [][]byte) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		m := sampleMessage(rnd.IntN(1e6), benchEntries)
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			c := e.CommonProperties
			d := time.Duration(12e6 * math.Exp(1.2*rnd.NormFloat64()))
			for i, x := range []*durationpb.Duration{c.TimeToLastRxByte, c.TimeToFirstUpstreamTxByte, c.TimeToLastUpstreamTxByte,
				c.TimeToFirstUpstreamRxByte, c.TimeToLastUpstreamRxByte, c.TimeToFirstDownstreamTxByte, c.TimeToLastDownstreamTxByte} {
				x.Seconds, x.Nanos = 0, int32(d)/8*int32(i+1)
			}
			c.Duration.Nanos = int32(d)
			c.StartTime.Nanos = rnd.Int32N(1e9)
			port := c.DownstreamRemoteAddress.GetSocketAddress().PortSpecifier.(*corev3.SocketAddress_PortValue)
			port.PortValue = 30_000 + rnd.Uint32N(30_000)
			c.DownstreamWireBytesSent, c.DownstreamWireBytesReceived = 300+rnd.Uint64N(20_000), 400+rnd.Uint64N(2000)
			e.Request.RequestBodyBytes, e.Response.ResponseBodyBytes = rnd.Uint64N(2000), rnd.Uint64N(20_000)
			e.Request.Path = "/reviews/" + strconv.Itoa(rnd.IntN(1e6))
		}
		frames = append(frames, mustMarshal(b, m))
	}
	return frames
}

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
	frames, n := benchFrames(b), 0
	next := func() []byte { n++; return frames[n%len(frames)] }
	b.Run("record", func(b *testing.B) {
		r := new(record)
		b.ReportAllocs()
		b.SetBytes(int64(len(frames[0])))
		report := perEntry(b)
		for b.Loop() {
			f, ok := scan(next())
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
		b.SetBytes(int64(len(frames[0])))
		report := perEntry(b)
		for b.Loop() {
			if walk(next(), walkMessage) < 0 {
				b.Fatal("malformed")
			}
		}
		report()
	})
	b.Run("generated", func(b *testing.B) {
		b.ReportAllocs()
		report := perEntry(b)
		for b.Loop() {
			if err := proto.Unmarshal(next(), new(alsv3.StreamAccessLogsMessage)); err != nil {
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
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return -1
		}
		fields++
		if tag&7 == wire.Bytes && s.enter>>(tag>>3)&1 != 0 {
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
	frames, n := benchFrames(b), 0
	next := func() []byte { n++; return frames[n%len(frames)] }
	first := sampleMessage(0, 0)
	first.Identifier = &alsv3.StreamAccessLogsMessage_Identifier{Node: sampleNode(b), LogName: "mesh"}
	s, _ := newTestServer(b, discard{}, nil)
	st := s.newStream(b.Context(), time.Now())
	if err := st.message(mustMarshal(b, first), time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(frames[0])))
	report := perEntry(b)
	for b.Loop() {
		if err := st.message(next(), time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	report()
}
