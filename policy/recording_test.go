package policy

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

func askedBy(user string) *mesh.Query {
	headers := mesh.Value{Kind: mesh.KindObject, Fields: []mesh.Field{
		{Name: "authorization", Value: mesh.Value{Kind: mesh.KindString, Text: "Bearer secret"}},
		{Name: "x-key", Value: mesh.Value{Kind: mesh.KindString, Text: "hidden"}},
	}}
	wrap := func(name string, v mesh.Value) mesh.Value {
		return mesh.Value{Kind: mesh.KindObject, Fields: []mesh.Field{{Name: name, Value: v}}}
	}
	root := wrap("attributes", wrap("request", wrap("http", wrap("headers", headers))))
	root.Fields = append(root.Fields, mesh.Field{Name: "user", Value: mesh.Value{Kind: mesh.KindString, Text: user}})
	return &mesh.Query{Request: &Input{root}}
}

// TestRecord: what was asked for is recorded, Masked and within its bounds.
func TestRecord(t *testing.T) {
	f := func(name string, opts RecordOptions, want RecordSummary, users string, ask ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			logged(t, nil, func(d *Decider) {
				got := make(chan RecordSummary, 1)
				var seen []string
				go func() {
					s, err := d.Record(t.Context(), opts, func(line []byte) error {
						var r Record
						if err := json.Unmarshal(line, &r); err != nil {
							t.Error(err)
						}
						if text := string(r.Input); strings.Contains(text, "secret") || strings.Contains(text, "hidden") || !strings.Contains(text, Masked) {
							t.Errorf("%s: recorded %s", name, text)
						}
						in, err := ParseInput(r.Input)
						if err != nil {
							t.Error(err)
							return nil
						}
						v, _ := in.Lookup(mesh.Path{"user"})
						seen = append(seen, v.Text+":"+r.Verdict)
						return nil
					})
					if err != nil {
						t.Error(err)
					}
					got <- s
				}()
				synctest.Wait()
				if _, err := d.Record(t.Context(), opts, nil); !errors.Is(err, ErrRecording) {
					t.Errorf("%s: a second recording: %v", name, err)
				}
				for _, user := range ask {
					if _, err := d.Decide(t.Context(), askedBy(user)); err != nil {
						t.Error(err)
					}
					synctest.Wait()
				}
				if s := <-got; s != want || strings.Join(seen, " ") != users {
					t.Errorf("%s: got %+v, %q; want %+v, %q", name, s, seen, want, users)
				}
				if d.recording.Load() != nil {
					t.Errorf("%s: the recording goes on", name)
				}
			})
		})
	}
	all := RecordOptions{For: time.Minute, Count: 2, Share: 1, MaskHeaders: []string{"X-Key"}}
	f("count", all, RecordSummary{End: "count", Recorded: 2}, "alice:allow alice:allow", "alice", "alice", "alice")
	few := all
	few.Count = 10
	f("time", few, RecordSummary{End: "time", Recorded: 2}, "alice:allow bob:deny", "alice", "bob")
	denials := few
	denials.Verdict, denials.Entrypoint = verdictDeny, defaultLabel
	f("denials", denials, RecordSummary{End: "time", Recorded: 1}, "bob:deny", "alice", "bob")
	other := few
	other.Entrypoint = "other"
	f("another entrypoint", other, RecordSummary{End: "time"}, "", "alice")
	slow := few
	slow.MaxPerSecond = 1
	f("rate", slow, RecordSummary{End: "time", Recorded: 1, Skipped: 2}, "alice:allow", "alice", "alice", "alice")
	f("paths", RecordOptions{For: time.Second, Count: 5, Share: 1, Mask: []string{"attributes.request.http.headers"}}, RecordSummary{End: "time", Recorded: 1}, "alice:allow", "alice")
}

// TestRecordEnds: a recording ends with who asked for it, with the decider, and
// when nobody can take it any more.
func TestRecordEnds(t *testing.T) {
	opts := RecordOptions{For: time.Hour, Count: 10, Share: 1}
	synctest.Test(t, func(t *testing.T) {
		got := make(chan RecordSummary, 1)
		logged(t, nil, func(d *Decider) {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				s, _ := d.Record(ctx, opts, nil)
				got <- s
			}()
			synctest.Wait()
			cancel()
			if s := <-got; s.End != "stopped" {
				t.Errorf("got %+v", s)
			}
			failed := errors.New("gone")
			go func() {
				if _, err := d.Record(t.Context(), opts, func([]byte) error { return failed }); !errors.Is(err, failed) {
					t.Errorf("got %v", err)
				}
				got <- RecordSummary{}
			}()
			synctest.Wait()
			if _, err := d.Decide(t.Context(), askedBy("alice")); err != nil {
				t.Error(err)
			}
			<-got
			go func() {
				s, _ := d.Record(t.Context(), opts, nil)
				got <- s
			}()
			synctest.Wait()
		})
		if s := <-got; s.End != "stopped" {
			t.Errorf("got %+v", s)
		}
	})
}

// TestRecordDrops: a writer that does not keep up loses records, and says how many.
func TestRecordDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged(t, nil, func(d *Decider) {
			got := make(chan RecordSummary, 1)
			go func() {
				s, err := d.Record(t.Context(), RecordOptions{For: time.Minute, Count: MaxRecordCount, Share: 1}, func([]byte) error {
					time.Sleep(time.Second)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				got <- s
			}()
			synctest.Wait()
			for range 600 {
				if _, err := d.Decide(t.Context(), askedBy("alice")); err != nil {
					t.Error(err)
				}
			}
			if s := <-got; s.Dropped < 80 || s.Recorded == 0 || s.End != "time" {
				t.Errorf("got %+v", s)
			}
		})
	})
}

func TestRecordOptions(t *testing.T) {
	err := (&RecordOptions{For: 2 * MaxRecordFor, Share: 2, MaxPerSecond: -1, Verdict: "maybe"}).Validate()
	for _, want := range []string{"for: ", "count: ", "share: ", "max_per_second: ", "verdict: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}
