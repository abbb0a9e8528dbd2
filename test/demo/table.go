package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

const refresh = 2 * time.Second

// show prints the table until ctx ends and returns its last rows.
func show(ctx context.Context, p *testbed.Prometheus, s *screen) (rows []*row) {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return rows
		case <-tick.C:
		}
		next, err := readRows(ctx, p)
		if ctx.Err() != nil {
			return rows
		}
		if err != nil {
			s.print("Prometheus does not answer: " + err.Error() + "\n")
			continue
		}
		rows = next
		s.print(render(rows, time.Since(began)))
	}
}

// render is the table as text.
func render(rows []*row, elapsed time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%3.0fs   what Prometheus says of the last 15 s\n", elapsed.Seconds())
	fmt.Fprintf(&b, "%-12s %-12s %-5s %-12s %9s %7s %9s %9s %9s\n", "SOURCE", "DESTINATION", "PROTO", "REPORTER", "RATE/s", "ERR %", "P50", "P95", "P99")
	if len(rows) == 0 {
		b.WriteString("(nothing yet: an access log takes a second, a rate two scrapes)\n")
	}
	for _, r := range rows {
		fmt.Fprintf(&b, "%-12s %-12s %-5s %-12s %9.1f ", r.source, r.destination, r.protocol, r.reporter, r.rate)
		if r.protocol == "tcp" {
			fmt.Fprintf(&b, "%7s %s in, %s out\n", "", perSecond(r.received), perSecond(r.answer))
			continue
		}
		fmt.Fprintf(&b, "%7.1f %9s %9s %9s\n", 100*r.errors, millis(r.p50), millis(r.p95), millis(r.p99))
	}
	return b.String()
}

func millis(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", v)
}

func perSecond(v float64) string { return fmt.Sprintf("%.1f kB/s", v/1000) }

// screen shows one text after the other: in place on a terminal, else one below
// the other.
type screen struct {
	out   io.Writer
	tty   bool
	lines int // of what is shown now
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		s.tty = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return s
}

func (s *screen) print(text string) {
	if s.tty && s.lines > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.lines) // up to where it began, and clear from there
	}
	if !s.tty {
		text += "\n"
	}
	fmt.Fprint(s.out, text)
	s.lines = strings.Count(text, "\n")
}
