package prometheus

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// final finds the scrapes that begin after the wish for a last one: one of each
// Prometheus that comes by regularly, of anybody if none does.
type final struct {
	mu       sync.Mutex
	begun    uint64
	scrapers map[string]*scraper

	wanted  bool
	after   uint64          // only a later scrape is a final one
	missing map[string]bool // scrapers without one
	done    chan struct{}
}

// scraper is who scrapes, by host and user agent.
type scraper struct {
	scrapes uint64
	last    time.Time
	every   time.Duration // the last time between two scrapes
}

// maxScrapers bounds what is remembered; the one that was away longest goes.
const maxScrapers = 64

func scraperOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return host + " " + r.UserAgent()
}

func (f *final) begin(who string, now time.Time) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun++
	s := f.scrapers[who]
	if s == nil {
		if len(f.scrapers) >= maxScrapers {
			f.forgetOne()
		}
		s = new(scraper)
		f.scrapers[who] = s
	} else {
		s.every = now.Sub(s.last)
	}
	s.scrapes++
	s.last = now
	return f.begun
}

func (f *final) forgetOne() {
	var longest string
	for who, s := range f.scrapers {
		if longest == "" || s.last.Before(f.scrapers[longest].last) {
			longest = who
		}
	}
	delete(f.scrapers, longest)
}

func (f *final) finish(who string, number uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.wanted || number <= f.after {
		return
	}
	delete(f.missing, who)
	if len(f.missing) == 0 {
		f.wanted = false
		close(f.done)
	}
}

// want begins the wait for the final scrapes. A scraper is expected if it came
// three times, and is not yet late.
func (f *final) want(now time.Time) (done <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.wanted {
		f.done = make(chan struct{})
		f.wanted = true
	}
	f.after = f.begun
	f.missing = make(map[string]bool)
	for who, s := range f.scrapers {
		if s.scrapes >= 3 && now.Sub(s.last) < 2*s.every {
			f.missing[who] = true
		}
	}
	return f.done
}

// WaitFinalScrape waits until each Prometheus that scrapes regularly, or anybody
// if none does, has begun a scrape after the call and finished it, so that it has
// everything that was counted before; or returns the cause of ctx's end. From the
// call on, new series are no longer held at 0.
func (h *Handler) WaitFinalScrape(ctx context.Context) error {
	h.table.Reveal()
	select {
	case <-h.final.want(time.Now()):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
