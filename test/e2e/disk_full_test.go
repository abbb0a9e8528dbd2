//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// TestDiskFull: a persistent queue that nobody empties and the local store fill a
// small disk, and the load goes on. Nothing crashes, every access log becomes a
// metric, every span is accounted for.
//
//	bench als ─▶ Tallygate ─┬▶ queue on the disk ─▶ nobody, in the end Jaeger
//	                        └▶ the local store on the disk
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		minFree int
		failed  float64 // the engine of the local store, which cannot be told to wait
	}{
		{"the store leaves some space", 16 << 20, 0},
		{"the store takes what there is", 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			disk := testbed.Disk{Dir: filepath.Join(Bed(t).Dir, "disk"), Bytes: 40 << 20}
			if err := os.Mkdir(disk.Dir, 0o700); err != nil {
				t.Fatal(err)
			}
			gone, err := testbed.FreeAddr("127.0.0.1")
			if err != nil {
				t.Fatal(err)
			}
			retry := object{"initial_interval": "100ms", "max_interval": "200ms", "max_elapsed_time": "1s"}
			tg := StartTallygate(t, testbed.TallygateConfig{Disk: disk, More: object{
				"extensions": object{"file_storage": object{"directory": filepath.Join(disk.Dir, "queue"), "create_directory": true}},
				"exporters": object{
					"otlp":  object{"endpoint": gone, "tls": object{"insecure": true}, "retry_on_failure": object{"max_interval": "2s", "max_elapsed_time": "0s"}, "sending_queue": object{"sizer": "items", "queue_size": 1_000_000, "storage": "file_storage"}},
					"local": object{"directory": filepath.Join(disk.Dir, "spans"), "min_free_bytes": c.minFree, "retry_on_failure": retry},
				},
				"spans": object{
					"exporters": array{"otlp", "local"}, "flush_interval": "100ms", "mode": "always",
					"sampling": object{"head": object{"ratio": 1, "per_second": 1e9}, "proxy": object{"enabled": false}},
				},
			}})
			w := &traced{tallygate: tg}
			sent := 0
			load := func() {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				const entries = 8000
				if out, err := tg.Run(ctx, "bench", "als", "--target", tg.ALS, "--metrics", "http://"+tg.Metrics+"/metrics", "--entries", fmt.Sprint(entries), "--rate", "8000"); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				sent += entries
			}
			for full := false; !full; {
				load()
				queue, err := w.account(t.Context(), "otlp")
				if err != nil {
					t.Fatal(err)
				}
				store, err := w.account(t.Context(), "local")
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("queue %+v, store %+v", queue, store)
				full = queue.dropped > 0 && store.dropped > 0
				if sent > 2_000_000 {
					t.Fatal("the disk does not fill")
				}
			}
			load() // on a full disk
			for _, exporter := range []string{"otlp", "local"} {
				w.settled(t, exporter, func(a spanAccount) error {
					if a.sampled != float64(sent) || a.dropped == 0 || exporter == "local" && a.queued > 0 {
						return fmt.Errorf("%s: %+v; want %d sampled, some dropped", exporter, a, sent)
					}
					return nil
				})
			}
			if b := wantBalance(t, tg); b.counted != float64(sent) {
				t.Errorf("%+v; want %d counted", b, sent)
			}
			series, err := tg.Scrape(t.Context(), "tallygate_storage_local_failed")
			if err != nil {
				t.Fatal(err)
			}
			if got := testbed.Sum(series, "tallygate_storage_local_failed"); got != c.failed {
				t.Errorf("the engine has failed: %v; want %v", got, c.failed)
			}
			StartJaeger(t, testbed.JaegerConfig{OTLP: gone})
			w.settled(t, "otlp", func(a spanAccount) error {
				if a.queued > 0 || a.exported == 0 {
					return fmt.Errorf("%+v; want what the disk took to be sent", a)
				}
				return nil
			})
			if log := tg.Log(1 << 20); strings.Contains(log, "panic") {
				t.Errorf("it panicked:\n%s", log)
			}
		})
	}
}
