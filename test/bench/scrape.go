package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
)

// format is how a scrape is asked for.
type format struct{ name, accept, encoding string }

var (
	plain       = format{"text", "text/plain;version=0.0.4", "identity"}
	gzipped     = format{"text, gzip", "text/plain;version=0.0.4", "gzip"}
	openMetrics = format{"OpenMetrics, gzip", "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "gzip"}
	native      = format{"native histograms, protobuf", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "identity"}
)

var scrapeClient = &http.Client{Transport: &http.Transport{DisableCompression: true}}

// scrape reads url to its end and returns the bytes on the wire.
func (f format) scrape(ctx context.Context, url string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", f.accept)
	req.Header.Set("Accept-Encoding", f.encoding)
	resp, err := scrapeClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("scraping as %s: %w", f.name, err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err != nil {
		return n, fmt.Errorf("scraping as %s: %w", f.name, err)
	}
	return n, nil
}

// variant is a configuration whose scrapes are measured.
type variant struct {
	name    string
	sets    []string
	tuples  []int
	formats []format
}

const (
	noBytes   = "red.families={istio_request_bytes: {disabled: true}, istio_response_bytes: {disabled: true}}"
	fewLabels = "red.exclude_labels=[source_canonical_service, source_canonical_revision, source_version, destination_canonical_service, destination_canonical_revision, destination_version]"
	tenBounds = "red.buckets=[5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000]"
)

var variants = []variant{
	{"all families, labels and buckets", nil, []int{1000, 10_000}, []format{plain, gzipped}},
	{"with native histograms", []string{"red.native_histograms.enabled=true"}, []int{1000, 10_000}, []format{native}},
	{"byte_buckets: coarse", []string{"red.byte_buckets=coarse"}, []int{10_000}, []format{plain, gzipped}},
	{"without the two byte histograms", []string{noBytes}, []int{10_000}, []format{plain, gzipped}},
	{"without 6 labels (canonical service and revision, version)", []string{fewLabels}, []int{10_000}, []format{plain, gzipped}},
	{"10 buckets of duration, no byte histograms, without 6 labels", []string{tenBounds, noBytes, fewLabels}, []int{10_000}, []format{plain, gzipped}},
}

// measureScrapes measures the CPU time of scrapes of an idle table.
func measureScrapes(ctx context.Context, o options, r *report) error {
	n := 5
	vs := variants
	if o.quick {
		n, vs = 3, variants[:2]
	}
	r.section("Scrapes",
		"CPU time of the server's process per scrape, after the first, which renders the label sets. The cost is linear in the tuples; 100,000 is computed from 10,000.")
	t := r.table("configuration", "format", "tuples", "MB on the wire", "CPU seconds")
	for _, v := range vs {
		var at10k map[string]scraped
		for _, tuples := range v.tuples {
			got, err := scrapeCosts(ctx, o, v, tuples, n)
			if err != nil {
				return fmt.Errorf("%s, %d tuples: %w", v.name, tuples, err)
			}
			for _, f := range v.formats {
				t.row(v.name, f.name, thousands(float64(tuples)), fmt.Sprintf("%.1f", float64(got[f.name].bytes)/1e6), fmt.Sprintf("%.3f", got[f.name].cpu.Seconds()))
			}
			at10k = got
		}
		if len(v.tuples) == 1 {
			continue
		}
		for _, f := range v.formats {
			c := at10k[f.name]
			t.row(v.name, f.name, "100,000 (computed)", fmt.Sprintf("%.0f", float64(c.bytes)/1e5), fmt.Sprintf("%.1f", c.cpu.Seconds()*10))
			r.target("CPU seconds of a scrape of 10,000 tuples: "+f.name, c.cpu.Seconds(), atMost, map[string]float64{plain.name: 1.5, gzipped.name: 2.5, native.name: 0.3}[f.name], "%.2f")
		}
	}
	return nil
}

type scraped struct {
	bytes int64
	cpu   time.Duration
}

// scrapeCosts returns the mean cost of n scrapes by format.
func scrapeCosts(ctx context.Context, o options, v variant, tuples, n int) (_ map[string]scraped, err error) {
	p := envoysim.DefaultProfile()
	p.Tuples = tuples
	traffic, err := envoysim.NewTraffic(p)
	if err != nil {
		return nil, err
	}
	s, err := startTallygate(ctx, o.binary, v.sets...)
	if err != nil {
		return nil, err
	}
	d, err := drive(ctx, s, traffic)
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	defer func() { err = errors.Join(err, d.close()) }()
	// Every histogram gets values in many buckets, as a mesh that runs for long has.
	if _, err := d.run(ctx, 20*int64(tuples), 0); err != nil {
		return nil, err
	}
	out := map[string]scraped{}
	for _, f := range v.formats {
		if _, err := f.scrape(ctx, s.metrics); err != nil {
			return nil, err
		}
		c, err := scrapeCost(ctx, s, f, n)
		if err != nil {
			return nil, err
		}
		out[f.name] = c
		progress("%s, %s, %d tuples: %.1f MB, %s", v.name, f.name, tuples, float64(c.bytes)/1e6, c.cpu)
	}
	return out, nil
}

// scrapeCost is the mean of n scrapes of a server that does nothing else. It is
// measured over all of them, because CPU time comes in steps of 10 ms.
func scrapeCost(ctx context.Context, s *server, f format, n int) (c scraped, err error) {
	before, err := s.cpu()
	if err != nil {
		return c, err
	}
	for range n {
		if c.bytes, err = f.scrape(ctx, s.metrics); err != nil {
			return c, err
		}
	}
	time.Sleep(50 * time.Millisecond) // what the process does after the last byte
	after, err := s.cpu()
	if err != nil {
		return c, err
	}
	c.cpu = (after - before) / time.Duration(n)
	return c, nil
}
