package als

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/ingest/wire/wiretest"
	"github.com/tallygate/tallygate/mesh"
)

// blockingSink counts, but only once it is released.
type blockingSink struct {
	release         chan struct{}
	inside, counted atomic.Int64
}

func (s *blockingSink) Consume(_ context.Context, b *mesh.Batch) error {
	s.inside.Add(1)
	<-s.release
	s.inside.Add(-1)
	s.counted.Add(int64(len(b.Entries)))
	return nil
}

func TestSinkFails(t *testing.T) {
	sink := &memorySink{err: errors.New("full")}
	s, reg := newTestServer(t, sink, nil)
	st := identified(t, s)
	if err := st.message(mustMarshal(t, sampleMessage(0, 100)), time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := ingesttest.Metric(t, reg, "tallygate_als_entries_dropped_total", "sink"); n != 100 {
		t.Errorf("%v entries dropped; want 100", n)
	}
	checkBooks(t, reg, 0)
}

// TestDamage cuts and mutates frames: a counter each, no panic, and the books
// balance.
func TestDamage(t *testing.T) {
	sink := new(memorySink)
	s, reg := newTestServer(t, sink, nil)
	st := identified(t, s)
	send := func(b []byte) {
		t.Helper()
		if err := st.message(b, time.Now()); err != nil {
			t.Fatalf("message: %v", err)
		}
	}
	whole := mustMarshal(t, sampleMessage(0, 2))
	for i := range whole {
		send(whole[:i])
	}
	if n := ingesttest.Metric(t, reg, "tallygate_als_frames_refused_total", "malformed"); n < float64(len(whole))*0.9 {
		t.Errorf("of %d cut frames %v were refused", len(whole), n)
	}
	if n := len(sink.all()); n != 0 {
		t.Errorf("%d entries of cut frames were counted", n)
	}
	// An entry is damaged inside a frame that is sound.
	w := wiretest.New(1, wireStrings, 9)
	good := mustMarshal(t, sampleEntry(0))
	var list []byte
	for _, e := range [][]byte{good, good[:len(good)-7], {0xff}, {0x0a, 0x7f, 1}, good} {
		list = w.Field(list, 1, e)
	}
	send(w.Field(nil, 2, list))
	if n := ingesttest.Metric(t, reg, "tallygate_als_entries_dropped_total", "malformed"); n != 3 {
		t.Errorf("%v damaged entries dropped; want 3", n)
	}
	if n := len(sink.all()); n != 2 {
		t.Errorf("%d sound entries counted beside them; want 2", n)
	}
	for range 20_000 {
		b := append([]byte(nil), whole...)
		for range 1 + w.IntN(8) {
			b[w.IntN(len(b))] = byte(w.Uint32())
		}
		send(b)
	}
	send(mustMarshal(t, &alsv3.StreamAccessLogsMessage{Identifier: new(alsv3.StreamAccessLogsMessage_Identifier)}))
	send([]byte{0x0a, 0x02, 0x0a, 0x7f})
	if n := ingesttest.Metric(t, reg, "tallygate_als_frames_refused_total", "identifier"); n < 1 {
		t.Error("a damaged identifier is not counted")
	}
	checkBooks(t, reg, len(sink.all()))
}

func TestEntryTruncated(t *testing.T) {
	whole := mustMarshal(t, sampleEntry(0))
	r := new(record)
	for i := range whole {
		if want := func() bool {
			list := wire.AppendMessage(nil, 1, whole[:i])
			m := new(alsv3.StreamAccessLogsMessage_HTTPAccessLogEntries)
			return unmarshal(list, m)
		}(); r.decode(whole[:i], false) != want {
			t.Errorf("an entry cut at %d of %d: accepted is %v; want %v", i, len(whole), !want, want)
		}
	}
}

func TestHostileLabels(t *testing.T) {
	f := func(value, want string, repaired float64) {
		t.Helper()
		sink := new(memorySink)
		s, reg := newTestServer(t, sink, nil, mesh.CustomLabel{Name: "x", Tag: "tenant"})
		st := identified(t, s)
		m := sampleMessage(0, 2)
		m.GetHttpLogs().GetLogEntry()[0].GetCommonProperties().CustomTags["source_app"] = "SENTINEL"
		m.GetHttpLogs().GetLogEntry()[0].GetCommonProperties().CustomTags["tenant"] = "SENTINEL"
		data := strings.ReplaceAll(string(mustMarshal(t, m)), "SENTINEL", "\x00\x00\x00\x00\x00\x00\x00\x00")
		if len(value) == 8 {
			data = strings.ReplaceAll(data, "\x00\x00\x00\x00\x00\x00\x00\x00", value)
		} else {
			m.GetHttpLogs().GetLogEntry()[0].GetCommonProperties().CustomTags["source_app"] = value
			m.GetHttpLogs().GetLogEntry()[0].GetCommonProperties().CustomTags["tenant"] = value
			data = string(mustMarshal(t, m))
		}
		if err := st.message([]byte(data), time.Now()); err != nil {
			t.Fatal(err)
		}
		entries := sink.all()
		if len(entries) != 2 {
			t.Fatalf("%q: %d entries counted; want 2", value, len(entries))
		}
		if got := entries[0].Source.Value().App; got != want || !utf8.ValidString(got) {
			t.Errorf("%q: label %q; want %q", value, got, want)
		}
		if got := entries[0].Custom.Value(); got != want+"\x00" {
			t.Errorf("%q: custom label %q; want %q", value, got, want+"\x00")
		}
		if got := ingesttest.Metric(t, reg, "tallygate_als_labels_repaired_total"); got != repaired {
			t.Errorf("%q: %v repaired; want %v", value, got, repaired)
		}
		checkBooks(t, reg, len(entries))
	}
	f("fine", "fine", 0)
	f("a\"b\n\\c", "a\"b\n\\c", 0)
	f("ünïcödé ☃", "ünïcödé ☃", 0)
	f("abc\xff\xfedef", "abc\uFFFDdef", 1)
	f("\xc3(\xa0\xa1\xe2\x28\xa1x", "\uFFFD(\uFFFD(\uFFFDx", 1)
	f("ab\x00cd", "ab\uFFFDcd", 1)
	f(strings.Repeat("x", 600), strings.Repeat("x", 512), 1)
	f(strings.Repeat("é", 300), strings.Repeat("é", 256), 1)
	f(strings.Repeat("x", 511)+"é", strings.Repeat("x", 511), 1)
}

// TestMillionValues sends a million distinct values of a tag: memory stays
// bounded, and the identities that are always there stay known.
func TestMillionValues(t *testing.T) {
	f := func(tag string, values int, misses float64) {
		t.Helper()
		s, reg := newTestServer(t, discard{}, nil, mesh.CustomLabel{Name: "user"})
		st := identified(t, s)
		m := sampleMessage(0, 500)
		for i, e := range m.GetHttpLogs().GetLogEntry() {
			e.Request, e.CommonProperties.StreamId = nil, ""
			e.CommonProperties.CustomTags = map[string]string{"reporter": "1"}
			if i%2 == 0 {
				e.CommonProperties.CustomTags[tag] = fmt.Sprintf("%09d", i)
			}
		}
		data := mustMarshal(t, m)
		var places []int
		for i := range 250 {
			places = append(places, strings.Index(string(data), fmt.Sprintf("%09d", 2*i)))
		}
		before := heap()
		value := 0
		if raceEnabled {
			values /= 20
		}
		for value < values {
			for _, at := range places {
				copy(data[at:], fmt.Sprintf("%09d", value))
				value++
			}
			if err := st.message(data, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		grown := heap() - before
		runtime.KeepAlive(st)
		t.Logf("%d distinct values of %s: heap grew by %d KiB", value, tag, grown>>10)
		if grown > 4<<20 {
			t.Errorf("%s: the heap grew by %d MiB", tag, grown>>20)
		}
		if got := ingesttest.Metric(t, reg, "tallygate_als_identity_misses_total"); got > misses {
			t.Errorf("%s: %v identities worked out; want at most %v", tag, got, misses)
		}
	}
	f("user", 1_000_000, 2)
	f("source_workload", 200_000, 200_010)
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestClientBreaks(t *testing.T) {
	sink := new(memorySink)
	s, reg := newTestServer(t, sink, nil)
	fs, done := run(s)
	fs.messages <- mustMarshal(t, sampleMessage(0, 10))
	fs.messages <- nil
	fs.cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) {
		t.Errorf("handler: %v; want canceled", err)
	}
	if n := ingesttest.Metric(t, reg, "tallygate_als_streams_ended_total", endBroken); n != 1 {
		t.Errorf("%v broken streams; want 1", n)
	}
	checkBooks(t, reg, len(sink.all()))
}
