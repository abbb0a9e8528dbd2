package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	promexp "github.com/tallygate/tallygate/exporters/prometheus"
)

// scrapedLately is how long after a scrape Prometheus is believed to come back.
const scrapedLately = 5 * time.Minute

// drain stops the stages in the direction of the data, so that what was
// received is counted, and what was counted is pushed and scraped:
//
//	not ready ▸ drain.delay ▸ GOAWAY, checks and streams end ▸ last push, and last scrape ▸ close
func (d *daemon) drain(r *running) error {
	began := time.Now()
	d.ready.Set("serving", errors.New("draining"))
	d.letGo()
	// The planes go side by side: a stream that is slow to end keeps no check
	// from its answer.
	var wg sync.WaitGroup
	var policyErr error
	wg.Go(func() {
		policyErr = errors.Join(r.checks.stop(), r.forward.stop(), r.limiting.stop(), r.limits.stop(), r.decider.stop(), r.rules.stop())
		// Last: nobody charges any more, so what was taken ahead can go back.
		policyErr = errors.Join(policyErr, r.quotas.stop())
	})
	err := r.alsListener.stop()
	err = errors.Join(err, r.als.stop())
	wg.Wait()
	err = errors.Join(err, policyErr)
	d.log.Info("Streams have ended", "took", time.Since(began).Round(time.Millisecond))

	// Side by side: a sink of pushes that is down must not use up the time in
	// which Prometheus comes by.
	var pushErr, spansErr error
	wg.Go(func() { pushErr = d.pushing.stop(d.grace()) })
	wg.Go(func() { spansErr = d.tracing.stop(d.grace()) })
	d.waitFinalScrape()
	wg.Wait()

	close(d.closing)
	err = errors.Join(err, pushErr, spansErr, d.storing.stop(), r.metrics.stop(), r.history.stop(), r.table.stop(), r.admin.stop())
	d.log.Info("Drained", "took", time.Since(began).Round(time.Millisecond))
	return err
}

// letGo serves on for drain.delay while health says that it will not for long. A
// stream that is sent away before its proxy chooses among others alone may come
// back to a listener that has closed, and what it carried is lost.
func (d *daemon) letGo() {
	if d.alsListener != nil {
		d.alsListener.NotServing()
	}
	if d.policing != nil {
		d.policing.listener.NotServing()
	}
	if d.limiting != nil {
		d.limiting.listener.NotServing()
	}
	time.Sleep(d.cfg.Load().Drain.Delay)
}

// waitFinalScrape returns when a scrape has begun and finished after the last
// count, or drain.final_scrape has passed.
func (d *daemon) waitFinalScrape() {
	limit := d.cfg.Load().Drain.FinalScrape
	if limit == 0 || d.metrics == nil {
		return
	}
	if !d.metrics.since(scrapedLately) {
		d.log.Info("Nobody has scraped lately: not waiting for a final scrape")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := d.metrics.WaitFinalScrape(ctx); err != nil {
		d.log.Warn("No scrape came after the last count: Prometheus may lack the last seconds", "waited", limit)
	}
}

// lastScrape remembers when /metrics was last asked for.
type lastScrape struct {
	*promexp.Handler
	at atomic.Int64 // Unix nanoseconds
}

func (s *lastScrape) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) {
		s.at.Store(time.Now().UnixNano())
		s.Handler.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte(`<!doctype html><title>Tallygate</title><a href="/metrics">/metrics</a>`))
	})
	return mux
}

// since reports whether there was a scrape within d.
func (s *lastScrape) since(d time.Duration) bool {
	at := s.at.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < d
}
