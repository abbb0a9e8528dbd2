package als

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
)

// realFrames returns messages that real Envoys sent, by file name.
func realFrames(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/frames/*.bin")
	if err != nil || len(files) == 0 {
		t.Fatalf("no frames of real Envoys in testdata/frames: %v", err)
	}
	frames := make(map[string][]byte)
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		frames[filepath.Base(name)] = data
	}
	return frames
}

func FuzzDecode(f *testing.F) {
	f.Add(mustMarshal(f, sampleMessage(0, 2)))
	f.Add(mustMarshal(f, tcpMessage(tcpEntry("c", time.Unix(1, 2), tcpPeriodic, 10, 20))))
	for _, data := range realFrames(f) {
		f.Add(data)
	}
	f.Fuzz(checkFrame)
}

// TestDecodeRealFrames decodes what real Envoys sent, and finds in it what the
// generated code finds.
func TestDecodeRealFrames(t *testing.T) {
	http, tcp := 0, 0
	for name, data := range realFrames(t) {
		checkFrame(t, data)
		sink := new(memorySink)
		s, reg := newTestServer(t, sink, nil)
		st := s.newStream(t.Context(), time.Now())
		if err := st.message(data, time.Now()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		entries := sink.all()
		checkBooks(t, reg, len(entries))
		if n := ingesttest.Metric(t, reg, "tallygate_als_entries_dropped_total") + ingesttest.Metric(t, reg, "tallygate_als_frames_refused_total"); n != 0 {
			t.Errorf("%s: %v frames or entries were lost", name, n)
		}
		for i, e := range entries {
			if e.Protocol == mesh.ProtocolTCP {
				tcp++
				continue
			}
			http++
			if e.Duration <= 0 || e.Start.Before(time.Unix(1_600_000_000, 0)) || e.RequestBytes == 0 || e.Method == "" ||
				e.TraceID == "" && !strings.Contains(name, "notags") {
				t.Errorf("%s: entry %d lacks something: %+v", name, i, e)
			}
		}
	}
	if http == 0 || tcp == 0 {
		t.Errorf("%d HTTP and %d TCP entries: the frames cover too little", http, tcp)
	}
}
