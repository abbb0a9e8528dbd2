package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
)

const adminToken = "a token of the benchmark"

// measureConsole compares the CPU time of an entry while nobody looks with that
// while somebody does: a console with its graph, and a tap of everything.
func measureConsole(ctx context.Context, o options, r *report) (err error) {
	rounds, entries := 9, int64(4_000_000)
	if o.quick {
		rounds, entries = 3, 1_000_000
	}
	traffic, err := envoysim.NewTraffic(envoysim.DefaultProfile())
	if err != nil {
		return err
	}
	s, err := startTallygate(ctx, o.binary, "admin.token="+adminToken)
	if err != nil {
		return err
	}
	d, err := drive(ctx, s, traffic)
	if err != nil {
		return errors.Join(err, s.stop())
	}
	defer func() { err = errors.Join(err, d.close()) }()
	var closed, open []float64 // nanoseconds per entry
	var seen looked
	once := func(watched bool) error {
		var l *looker
		if watched {
			l = look(ctx, strings.TrimSuffix(s.status, "/metrics"))
		}
		u, err := d.run(ctx, entries, 0)
		if watched {
			n, lookErr := l.stop()
			seen.edges, seen.lines = seen.edges+n.edges, seen.lines+n.lines
			err = errors.Join(err, lookErr)
			open = append(open, 1e9/u.perCoreSecond())
		} else {
			closed = append(closed, 1e9/u.perCoreSecond())
		}
		return err
	}
	for round := range rounds {
		// Each comes first as often as the other.
		for _, watched := range []bool{round%2 == 1, round%2 == 0} {
			if err := once(watched); err != nil {
				return err
			}
		}
		progress("round %d  nobody looks %5.0f ns per entry, with a console and a tap %5.0f ns", round+1, closed[round], open[round])
	}
	if err := d.verify(ctx); err != nil {
		return err
	}
	if seen.edges == 0 || seen.lines == 0 {
		return fmt.Errorf("the console was shown %d edges, the tap %d lines", seen.edges, seen.lines)
	}
	ratios := make([]float64, rounds)
	for i := range ratios {
		ratios[i] = open[i] / closed[i]
	}
	r.section("Console", "CPU time of the server's process per entry, medians of interleaved runs (the ratio is that of those within rounds) as fast as entries are taken: while nobody looks, and with a console (the edges every 5 s, and their last hour) and a tap of everything, which is shown 500 requests per second, in turns.")
	t := r.table("who looks", "ns per entry")
	t.row("nobody", fmt.Sprintf("%.0f", medianOf(closed)))
	t.row("a console and a tap", fmt.Sprintf("%.0f", medianOf(open)))
	r.target("CPU time of an entry with a console and a tap open to that with neither", medianOf(ratios), atMost, 1.02, "%.3f")
	return nil
}

// looked is what somebody was shown.
type looked struct{ edges, lines int }

// looker looks as the console does.
type looker struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	seen   looked
	errs   [2]error
}

func look(ctx context.Context, base string) *looker {
	l := &looker{}
	ctx, l.cancel = context.WithCancel(ctx)
	l.wg.Go(func() { l.errs[0] = l.graph(ctx, base) })
	l.wg.Go(func() { l.errs[1] = l.tap(ctx, base) })
	return l
}

func (l *looker) stop() (looked, error) {
	l.cancel()
	l.wg.Wait()
	return l.seen, errors.Join(l.errs[:]...)
}

// graph asks for what the graph and the table of edges show.
func (l *looker) graph(ctx context.Context, base string) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	count := func(body io.Reader) error {
		b, err := io.ReadAll(body)
		l.seen.edges += strings.Count(string(b), `"source":`)
		return err
	}
	if err := read(ctx, base+"/api/v1/history?by=edge&since=1h", count); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := read(ctx, base+"/api/v1/edges?since=15s", count); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

func (l *looker) tap(ctx context.Context, base string) error {
	return read(ctx, base+"/api/v1/tap?last=30", func(body io.Reader) error {
		lines := bufio.NewScanner(body)
		for lines.Scan() {
			l.seen.lines++
		}
		return lines.Err()
	})
}

// read asks the admin endpoint; that ctx ends is no failure.
func read(ctx context.Context, url string, fn func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, resp.Status)
		}
		err = fn(resp.Body)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}
