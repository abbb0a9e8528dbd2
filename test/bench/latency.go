package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
)

// scraper scrapes in the background.
type scraper struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	n      int
	err    error
}

func (s *scraper) start(ctx context.Context, interval time.Duration, url string, f format) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.wg.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			_, err := f.scrape(ctx, url)
			if ctx.Err() != nil {
				return
			}
			s.n, s.err = s.n+1, errors.Join(s.err, err)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

// stop returns how many scrapes there were; a scraper may not have been started.
func (s *scraper) stop() (scrapes int, err error) {
	if s.cancel != nil {
		s.cancel()
	}
	s.wg.Wait()
	return s.n, s.err
}

// load is one line of the table of latencies.
type load struct {
	tuples   int
	interval time.Duration // between scrapes; 0 is none
	f        format
}

func (l load) scraped() string {
	if l.interval == 0 {
		return "no"
	}
	return fmt.Sprintf("every %s, %s", l.interval, l.f.name)
}

// rate is in entries per second.
const rate = 50_000

// measureLatency drives the rate with and without scrapes.
func measureLatency(ctx context.Context, o options, r *report) error {
	d := 30 * time.Second
	loads := []load{
		{1000, 0, format{}},
		{1000, time.Second, gzipped},
		{10_000, 0, format{}},
		{10_000, 5 * time.Second, plain},
		{10_000, 5 * time.Second, gzipped},
	}
	if o.quick {
		d, loads = 6*time.Second, loads[4:]
	}
	r.section("Latency and memory",
		"Time from a message's arrival to all its entries being counted, at 50,000 entries/s. The longest is the upper bound of the highest bucket that holds a message: no pause of ingest was longer. RSS is the peak of the process.")
	t := r.table("tuples", "scraped", "scrapes", "p50", "p99", "longest", "peak RSS", "server CPU")
	for _, l := range loads {
		if err := l.measure(ctx, o, r, t, d); err != nil {
			return fmt.Errorf("%d tuples, scraped %s: %w", l.tuples, l.scraped(), err)
		}
	}
	return nil
}

func (l load) measure(ctx context.Context, o options, r *report, t *table, d time.Duration) (err error) {
	p := envoysim.DefaultProfile()
	p.Tuples = l.tuples
	traffic, err := envoysim.NewTraffic(p)
	if err != nil {
		return err
	}
	s, err := startTallygate(ctx, o.binary)
	if err != nil {
		return err
	}
	dr, err := drive(ctx, s, traffic)
	if err != nil {
		return errors.Join(err, s.stop())
	}
	defer func() { err = errors.Join(err, dr.close()) }()
	const metric = "tallygate_als_message_latency_seconds"
	before, err := envoysim.ReadHistogram(ctx, s.status, metric)
	if err != nil {
		return err
	}
	var sc scraper
	if l.interval > 0 {
		sc.start(ctx, l.interval, s.metrics, l.f)
	}
	u, err := dr.run(ctx, int64(rate*d.Seconds()), rate)
	scrapes, scrapeErr := sc.stop()
	if err := errors.Join(err, scrapeErr); err != nil {
		return err
	}
	after, err := envoysim.ReadHistogram(ctx, s.status, metric)
	if err != nil {
		return err
	}
	_, peak, err := envoysim.RSS(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	h := after.Since(before)
	p99, tuples := h.Quantile(0.99), thousands(float64(l.tuples))
	t.row(tuples, l.scraped(), fmt.Sprint(scrapes), seconds(h.Quantile(0.5)), seconds(p99), "≤ "+seconds(h.Max()), mebibytes(peak),
		fmt.Sprintf("%.2f cores", u.cpu.Seconds()/u.wall.Seconds()))
	progress("%d tuples, scraped %s: p99 %s, longest %s, RSS %s, generator late by %s", l.tuples, l.scraped(), seconds(p99), seconds(h.Max()), mebibytes(peak), u.late)
	if l.interval > 0 {
		r.target("p99 of a message's latency in ms, "+tuples+" tuples, scraped "+l.scraped(), p99*1e3, atMost, 5, "%.2f")
		if l.tuples == 10_000 {
			r.target("peak RSS in MiB, 10,000 tuples, scraped "+l.scraped(), float64(peak)/(1<<20), atMost, 250, "%.0f")
		}
	}
	return dr.verify(ctx)
}
