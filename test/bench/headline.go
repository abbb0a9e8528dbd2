package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
)

// The mesh of the headline: its entries per second and its scrapes.
const (
	meshRate     = 10_000
	meshInterval = 15 * time.Second
)

// measureHeadline is a whole mesh.
func measureHeadline(ctx context.Context, o options, r *report) error {
	d := 60 * time.Second
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
		"5,000 requests/s reported from both sides (10,000 entries/s) by 600 proxies of 300 services, 4,800 label tuples, messages of 15 entries (as Envoy flushes: 16 KiB or 1 s), and a scrape every 15 s as Prometheus asks for it: OpenMetrics and gzip by default, protobuf with its native histograms on. The cores are those of everything together.")
	t := r.table("configuration", "cores", "CPU seconds per scrape", "peak RSS")
	for _, c := range []struct {
		name string
		f    format
		sets []string
	}{
		{"default: all families, labels and buckets", openMetrics, nil},
		{"native histograms", native, []string{"red.native_histograms.enabled=true"}},
	} {
		if err := headline(ctx, o, t, c.name, traffic, c.f, c.sets, d); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

func headline(ctx context.Context, o options, t *table, name string, traffic *envoysim.Traffic, f format, sets []string, d time.Duration) (err error) {
	s, err := startTallygate(ctx, o.binary, sets...)
	if err != nil {
		return err
	}
	dr, err := drive(ctx, s, traffic)
	if err != nil {
		return errors.Join(err, s.stop())
	}
	defer func() { err = errors.Join(err, dr.close()) }()
	if _, err := f.scrape(ctx, s.metrics); err != nil { // renders the labels, once
		return err
	}
	var sc scraper
	sc.start(ctx, meshInterval, s.metrics, f)
	// The run ends just before the next scrape: it has one per interval.
	u, err := dr.run(ctx, int64(meshRate*(d-time.Second).Seconds()), meshRate)
	n, scrapeErr := sc.stop()
	if err := errors.Join(err, scrapeErr); err != nil {
		return err
	}
	_, peak, err := envoysim.RSS(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	cost, err := scrapeCost(ctx, s, f, 3)
	if err != nil {
		return err
	}
	cores := u.cpu.Seconds() / u.wall.Seconds()
	t.row(name, fmt.Sprintf("**%.2f**", cores), fmt.Sprintf("%.2f", cost.cpu.Seconds()), mebibytes(peak))
	progress("%s: %.3f cores, %d scrapes of %s in %s, generator late by %s", name, cores, n, cost.cpu, u.wall, u.late)
	return dr.verify(ctx)
}
