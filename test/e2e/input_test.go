//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	data "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	als "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"

	"github.com/tallygate/tallygate/test/testbed"
)

// Whatever a client sends costs at most its own stream: each kind of bad input
// has its counter, memory stays bounded, and Tallygate serves on.
//
//	raw gRPC client ──ALS──▶ tallygate ◀── GET /metrics
func TestBadInput(t *testing.T) {
	const maxSeries = 5000
	w := &world{tallygate: StartTallygate(t, testbed.TallygateConfig{
		RED: map[string]any{"max_series": maxSeries, "zero_for": "0s"},
	})}
	t.Run("damaged frames", func(t *testing.T) { testDamagedFrames(t, w) })
	t.Run("100 MB message", func(t *testing.T) { testHugeMessage(t, w) })
	t.Run("hostile labels", func(t *testing.T) { testHostileLabels(t, w) })
	t.Run("a million values", func(t *testing.T) { testMillionValues(t, w, maxSeries) })
	wantBalance(t, w.tallygate)
	wantServing(t, w)
	_, peak, err := w.tallygate.RSS()
	if err != nil || peak > 512<<20 {
		t.Errorf("peak of memory %d MiB, %v; want under 512 MiB", peak>>20, err)
	}
	t.Logf("peak of memory %d MiB", peak>>20)
}

// wantServing sends one good entry and wants it counted.
func wantServing(t *testing.T, w *world) {
	t.Helper()
	before := w.scrapeSum(t, "tallygate_red_entries_counted_total")
	if err := forge(t, w, nil, node("shop", "sender"), forgedEntry(nil)); err != nil {
		t.Fatalf("a good stream ended with %v", err)
	}
	if got := w.scrapeSum(t, "tallygate_red_entries_counted_total"); got != before+1 {
		t.Errorf("%v entries are counted; want %v", got, before+1)
	}
}

// Real frames, cut short and with bytes changed.
func testDamagedFrames(t *testing.T, w *world) {
	files, err := filepath.Glob(filepath.Join("..", "..", "ingest", "als", "testdata", "frames", "*.bin"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captured frames: %v", err)
	}
	c, err := Bed(t).DialALS(w.tallygate.ALS, nil)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, file := range files {
		frame, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for round := range 40 {
			bad := append([]byte(nil), frame...)
			if round%2 == 0 {
				bad = bad[:rng.IntN(len(bad))]
			} else {
				for range 1 + rng.IntN(20) {
					bad[rng.IntN(len(bad))] = byte(rng.Uint32())
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			s, err := c.Stream(ctx)
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Send(bad)
			_ = s.Close()
			cancel()
		}
	}
	for name, label := range map[string]string{
		"tallygate_als_frames_refused_total": "reason=malformed", "tallygate_als_entries_dropped_total": "reason=malformed",
	} {
		if w.scrapeSum(t, name, label) == 0 {
			t.Errorf("nothing in %s of %s", label, name)
		}
	}
	wantServing(t, w)
}

func testHugeMessage(t *testing.T, w *world) {
	c, err := Bed(t).DialALS(w.tallygate.ALS, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := w.scrapeSum(t, "tallygate_als_streams_ended_total")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := c.Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(make([]byte, 100<<20))
	if err := s.Close(); err == nil {
		t.Error("a message of 100 MB was taken")
	}
	Eventually(t, 10*time.Second, func(context.Context) error {
		if got := w.scrapeSum(t, "tallygate_als_streams_ended_total"); got < before+1 {
			return fmt.Errorf("%v streams ended; want %v", got, before+1)
		}
		return nil
	})
	wantServing(t, w)
}

// Label values that would break the text format or the metrics' encoding come
// out escaped and repaired, and counted.
func testHostileLabels(t *testing.T, w *world) {
	const quotes = "a\"b\\c\nd{e=\"f\"} 1"
	w.forgeTagged(t, "destination_app", quotes)
	if n := w.scrapeSum(t, "istio_requests_total", "destination_app="+quotes); n != 1 {
		t.Errorf("%v requests under the label with quotes and a newline; want 1", n)
	}
	repaired := w.scrapeSum(t, "tallygate_als_labels_repaired_total")
	// The generated code refuses to send invalid UTF-8, so it is put in after.
	frame := taggedFrame(t, "destination_app", "bad-XX-bad")
	sendRaw(t, w, []byte(strings.Replace(string(frame), "bad-XX-bad", "bad-\xff\xfe-bad", 1)))
	if n := w.scrapeSum(t, "tallygate_als_labels_repaired_total"); n != repaired+1 {
		t.Errorf("%v labels were repaired; want %v", n, repaired+1)
	}
	found := false
	series, err := w.tallygate.Scrape(t.Context(), "istio_requests_total")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range series {
		app := s.Labels["destination_app"]
		found = found || strings.HasPrefix(app, "bad-\uFFFD") && strings.HasSuffix(app, "-bad")
	}
	if !found {
		t.Error("no label with U+FFFD for the invalid bytes")
	}
	w.forgeTagged(t, "destination_app", strings.Repeat("long", 50_000))
	wantServing(t, w)
}

// A million distinct values of one label fill the table up to its cap; what is
// beyond counts in the overflow series and is lost to no total.
func testMillionValues(t *testing.T, w *world, maxSeries float64) {
	const values, perMessage = 1_000_000, 2000
	c, err := Bed(t).DialALS(w.tallygate.ALS, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := w.scrapeSum(t, "istio_requests_total")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := c.Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < values; i += perMessage {
		m := &als.StreamAccessLogsMessage_HTTPAccessLogEntries{}
		for j := range perMessage {
			m.LogEntry = append(m.LogEntry, forgedEntry(map[string]string{"reporter": "source", "destination_workload": fmt.Sprintf("w-%d", i+j)}))
		}
		msg := &als.StreamAccessLogsMessage{LogEntries: &als.StreamAccessLogsMessage_HttpLogs{HttpLogs: m}}
		if i == 0 {
			msg.Identifier = &als.StreamAccessLogsMessage_Identifier{Node: node("shop", "flood"), LogName: "flood"}
		}
		if err := s.SendMessage(msg); err != nil {
			t.Fatalf("after %d values: %v", i, s.Close())
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := w.scrapeSum(t, "istio_requests_total"); got != before+values {
		t.Errorf("%v requests; want %v: what is over the cap must still count", got, before+values)
	}
	// The cap is that of each view; there are a few of them.
	if n := w.scrapeSum(t, "tallygate_red_series"); n < maxSeries || n > 2*maxSeries {
		t.Errorf("%v series; want about the cap of %v", n, maxSeries)
	}
	capped := w.scrapeSum(t, "tallygate_red_entries_overflowed_total") + w.scrapeSum(t, "tallygate_red_labels_capped_total")
	if capped == 0 {
		t.Error("nothing is counted as beyond a cap")
	}
}

func taggedFrame(t *testing.T, tag, value string) []byte {
	t.Helper()
	b, err := proto.Marshal(&als.StreamAccessLogsMessage{
		Identifier: &als.StreamAccessLogsMessage_Identifier{Node: node("shop", "sender"), LogName: "x"},
		LogEntries: &als.StreamAccessLogsMessage_HttpLogs{HttpLogs: &als.StreamAccessLogsMessage_HTTPAccessLogEntries{
			LogEntry: []*data.HTTPAccessLogEntry{forgedEntry(map[string]string{"reporter": "source", tag: value})},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *world) forgeTagged(t *testing.T, tag, value string) {
	t.Helper()
	sendRaw(t, w, taggedFrame(t, tag, value))
}

// sendRaw sends one frame on a stream of its own, which must end well.
func sendRaw(t *testing.T, w *world, frame []byte) {
	t.Helper()
	c, err := Bed(t).DialALS(w.tallygate.ALS, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := c.Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(frame); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
