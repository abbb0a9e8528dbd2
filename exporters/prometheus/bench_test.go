package prometheus

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// discard is a ResponseWriter that counts.
type discard struct {
	header http.Header
	n      int64
}

func (d *discard) Header() http.Header                { return d.header }
func (d *discard) WriteHeader(int)                    {}
func (d *discard) Write(p []byte) (int, error)        { d.n += int64(len(p)); return len(p), nil }
func (d *discard) Flush()                             {}
func (d *discard) SetWriteDeadline(_ time.Time) error { return nil }

func BenchmarkScrape(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		for _, bench := range []struct {
			name, accept, encoding string
			native                 bool
		}{
			{"text", acceptText, "", false},
			{"text/gzip", acceptText, "gzip", false},
			{"openmetrics", acceptOpenMetrics, "", false},
			{"protobuf", acceptProto, "", false},
			{"protobuf/native", acceptProto, "", true},
			{"protobuf/native/gzip", acceptProto, "gzip", true},
		} {
			b.Run(fmt.Sprintf("tuples=%d/%s", n, bench.name), func(b *testing.B) {
				h := newHandler(b, newTable(b, bench.native, entries(n)...))
				for range 50 {
					consume(b, h.table, entries(n)...)
				}
				r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
				r.Header.Set("Accept", bench.accept)
				r.Header.Set("Accept-Encoding", bench.encoding)
				w := &discard{header: http.Header{}}
				h.ServeHTTP(w, r)
				b.ReportAllocs()
				b.ResetTimer()
				w.n = 0
				for range b.N {
					h.ServeHTTP(w, r)
				}
				b.ReportMetric(float64(w.n)/float64(b.N)/1e6, "MB/scrape")
			})
		}
	}
}

// scrapeEnv makes the test binary scrape a URL: so that the cost of the client
// is not that of the server.
const scrapeEnv = "TALLYGATE_TEST_SCRAPE"

func scrapeURL(url string) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Accept", os.Getenv("ACCEPT"))
	r.Header.Set("Accept-Encoding", os.Getenv("ACCEPT_ENCODING"))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 1<<20))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(n)
}

// BenchmarkScrapeHTTP measures the CPU time of this process, which serves a
// table that counts 5,000 entries between scrapes, over HTTP on loopback.
func BenchmarkScrapeHTTP(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		for _, bench := range []struct {
			name, accept, encoding string
			native                 bool
		}{
			{"text/identity", acceptText, "identity", false},
			{"text/gzip", acceptText, "gzip", false},
			{"openmetrics/gzip", acceptOpenMetrics, "gzip", false},
			{"protobuf/native/identity", acceptProto, "identity", true},
			{"protobuf/native/gzip", acceptProto, "gzip", true},
		} {
			b.Run(fmt.Sprintf("tuples=%d/%s", n, bench.name), func(b *testing.B) {
				es := entries(n)
				h := newHandler(b, newTable(b, bench.native, es...))
				srv := httptest.NewServer(h)
				defer srv.Close()
				var sum time.Duration
				for i := range b.N + 1 {
					for j := range 100 {
						at := (i*5000 + j*50) % n
						consume(b, h.table, es[at:at+50]...)
					}
					client := exec.Command(os.Args[0])
					client.Env = []string{scrapeEnv + "=" + srv.URL, "ACCEPT=" + bench.accept, "ACCEPT_ENCODING=" + bench.encoding}
					before := cpu(b)
					out, err := client.Output()
					if err != nil {
						b.Fatal(err)
					}
					if i == 0 { // renders the label sets
						continue
					}
					sum += cpu(b) - before
					size, err := strconv.Atoi(string(out))
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(size)/1e6, "MB/scrape")
				}
				b.ReportMetric(sum.Seconds()/float64(b.N), "cpu-s/scrape")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
