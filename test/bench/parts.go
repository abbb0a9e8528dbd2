package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
)

// measureThroughput compares entries per core-second with the references.
func measureThroughput(ctx context.Context, o options, r *report) error {
	rounds, share := 5, int64(1)
	if o.quick {
		rounds, share = 3, 4
	}
	ref := func(name string) func(context.Context) (*server, error) {
		return func(context.Context) (*server, error) { return startReference(name) }
	}
	tally := func(ctx context.Context) (*server, error) { return startTallygate(ctx, o.binary) }
	cs := []*contestant{
		{name: "receive and discard", entries: 3_000_000 / share, start: ref(discard), tuples: 100},
		{name: "bare wire walk", entries: 2_000_000 / share, start: ref(walk), tuples: 100},
		{name: "generated protobuf code", entries: 200_000 / share, start: ref(generated), tuples: 100},
		{name: "Tallygate, 100 tuples", entries: 1_500_000 / share, start: tally, tuples: 100},
		{name: "Tallygate, 10,000 tuples", entries: 1_000_000 / share, start: tally, tuples: 10_000},
	}
	if err := throughput(ctx, cs, rounds); err != nil {
		return err
	}
	base := cs[0].median()
	r.section("Throughput",
		"Entries per core-second of the server's process, medians of interleaved runs, over gRPC on loopback: 8 streams, messages of 50 entries of about 1.1 KB with 10 request headers, SPIFFE TLS properties and custom tags.")
	t := r.table("server", "entries per core-second", "to receive and discard", "entries/s (both ends on this machine)")
	for _, c := range cs {
		var wall []time.Duration
		for _, u := range c.runs {
			wall = append(wall, time.Duration(float64(u.wall)/float64(u.entries)*1e6)) // of a million entries
		}
		t.row(c.name, thousands(c.median()), fmt.Sprintf("%.2f", c.median()/base), thousands(1e6/median(wall).Seconds()))
	}
	r.target("Tallygate to receive and discard, 100 tuples", cs[3].median()/base, atLeast, 0.35, "%.2f")
	r.target("Tallygate to receive and discard, 10,000 tuples", cs[4].median()/base, atLeast, 0.2, "%.2f")
	return nil
}

// scraper scrapes in the background.
type scraper struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	n      int
	err    error
}

func scrapeEvery(ctx context.Context, interval time.Duration, url string, f format) *scraper {
	ctx, cancel := context.WithCancel(ctx)
	s := &scraper{cancel: cancel}
	s.wg.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			_, err := f.scrape(ctx, url)
			if ctx.Err() != nil {
				return
			}
			s.mu.Lock()
			s.n, s.err = s.n+1, errors.Join(s.err, err)
			s.mu.Unlock()
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return s
}

func (s *scraper) stop() (scrapes int, err error) {
	s.cancel()
	s.wg.Wait()
	return s.n, s.err
}

// measureLatency drives 50,000 entries/s with and without scrapes.
func measureLatency(ctx context.Context, o options, r *report) error {
	const rate = 50_000
	d := 30 * time.Second
	if o.quick {
		d = 5 * time.Second
	}
	r.section("Latency and memory",
		"Time from a message's arrival to all its entries being counted, at 50,000 entries/s; the longest is the upper bound of the highest bucket that holds a message, so it bounds every pause of ingest. RSS is the peak of the process.")
	t := r.table("tuples", "scraped", "scrapes", "p50", "p99", "longest", "peak RSS", "server CPU")
	for _, c := range []struct {
		tuples   int
		interval time.Duration // 0: not scraped
		f        format
		said     string
	}{
		{1000, 0, format{}, "no"},
		{1000, time.Second, gzipped, "every 1 s, gzip"},
		{10_000, 0, format{}, "no"},
		{10_000, 5 * time.Second, plain, "every 5 s, plain (about 470 MB)"},
		{10_000, 5 * time.Second, gzipped, "every 5 s, gzip"},
	} {
		if err := latency(ctx, o, r, t, c.tuples, c.interval, c.f, c.said, rate, d); err != nil {
			return fmt.Errorf("%d tuples, scraped %s: %w", c.tuples, c.said, err)
		}
	}
	return nil
}

func latency(ctx context.Context, o options, r *report, t *table, tuples int, interval time.Duration, f format, said string, rate float64, d time.Duration) (err error) {
	p := envoysim.DefaultProfile()
	p.Tuples = tuples
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
	scrapes := 0
	var sc *scraper
	if interval > 0 {
		sc = scrapeEvery(ctx, interval, s.metrics, f)
	}
	u, err := dr.run(ctx, int64(rate*d.Seconds()), rate)
	if sc != nil {
		n, scrapeErr := sc.stop()
		scrapes, err = n, errors.Join(err, scrapeErr)
	}
	if err != nil {
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
	p99 := h.Quantile(0.99)
	t.row(thousands(float64(tuples)), said, fmt.Sprint(scrapes), seconds(h.Quantile(0.5)), seconds(p99), "≤ "+seconds(h.Max()), mebibytes(peak),
		fmt.Sprintf("%.2f cores", u.cpu.Seconds()/u.wall.Seconds()))
	progress("%d tuples, scraped %s: p99 %s, longest %s, RSS %s, late %s", tuples, said, seconds(p99), seconds(h.Max()), mebibytes(peak), u.late)
	if interval > 0 {
		r.target(fmt.Sprintf("p99 of a message's latency in ms, %s tuples, scraped %s", thousands(float64(tuples)), said), p99*1e3, atMost, 5, "%.2f")
		if tuples == 10_000 {
			r.target("peak RSS in MiB, 10,000 tuples, scraped "+said, float64(peak)/(1<<20), atMost, 250, "%.0f")
		}
	}
	return dr.verify(ctx)
}

// measureHeadline is the seed mesh.
func measureHeadline(ctx context.Context, o options, r *report) (err error) {
	const rate = 10_000
	d, interval := 60*time.Second, 15*time.Second
	if o.quick {
		d = 15 * time.Second
	}
	p := envoysim.DefaultProfile()
	p.Streams, p.Services, p.Tuples, p.EntriesPerMessage, p.MinMessages, p.Sides = 600, 300, 4800, 15, 2, envoysim.SideBoth
	traffic, err := envoysim.NewTraffic(p)
	if err != nil {
		return err
	}
	r.section("A whole mesh",
		"5,000 requests/s reported from both sides (10,000 entries/s) by 600 proxies of 300 services, 4,800 label tuples, messages of 15 entries (as Envoy flushes: 16 KiB or 1 s), a scrape every 15 s as Prometheus 2.42 asks for it (OpenMetrics, gzip), all included.")
	t := r.table("configuration", "cores", "of which scrapes", "peak RSS")
	for _, c := range []struct {
		name string
		f    format
		sets []string
	}{
		{"default: all families, labels and buckets", openMetrics, nil},
		{"native histograms in protobuf", native, []string{"red.native_histograms.enabled=true"}},
	} {
		if err := headline(ctx, o, r, t, c.name, traffic, c.f, c.sets, rate, d, interval); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

func headline(ctx context.Context, o options, r *report, t *table, name string, traffic *envoysim.Traffic, f format, sets []string, rate float64, d, interval time.Duration) (err error) {
	s, err := startTallygate(ctx, o.binary, sets...)
	if err != nil {
		return err
	}
	dr, err := drive(ctx, s, traffic)
	if err != nil {
		return errors.Join(err, s.stop())
	}
	defer func() { err = errors.Join(err, dr.close()) }()
	idle, err := dr.run(ctx, int64(rate*d.Seconds()/4), rate)
	if err != nil {
		return err
	}
	sc := scrapeEvery(ctx, interval, s.metrics, f)
	u, err := dr.run(ctx, int64(rate*d.Seconds()), rate)
	n, scrapeErr := sc.stop()
	if err := errors.Join(err, scrapeErr); err != nil {
		return err
	}
	_, peak, err := envoysim.RSS(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	// The first scrape renders the labels; the run has as many scrapes as
	// intervals.
	cores := u.cpu.Seconds() / u.wall.Seconds()
	ingest := idle.cpu.Seconds() / idle.wall.Seconds()
	t.row(name, fmt.Sprintf("%.2f", cores), fmt.Sprintf("%.2f", cores-ingest), mebibytes(peak))
	progress("%s: %.3f cores, %.3f without scrapes, %d scrapes in %s, late %s", name, cores, ingest, n, u.wall, u.late)
	return dr.verify(ctx)
}
