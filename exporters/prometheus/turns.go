package prometheus

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// turn is a scrape's place among those who may work at once. It is held while
// the scrape computes and given up while the client is written to, which may
// take as long as the client likes.
type turn struct {
	to    io.Writer
	take  func() (give func())
	give  func() // nil while there is none
	until time.Time
}

// TakeTurns makes every scrape take turns to compute, for the first half of the
// time that Prometheus gives it. take waits for one. It must be called before the
// first scrape.
func (h *Handler) TakeTurns(take func() (give func())) { h.turns = take }

// turn begins the first turn of the scrape r.
func (h *Handler) turn(to io.Writer, r *http.Request) *turn {
	t := &turn{to: to, take: h.turns}
	if t.take != nil {
		t.until = time.Now().Add(scrapeTimeout(r) / 2)
		t.begin()
	}
	return t
}

// scrapeTimeout returns how long Prometheus waits for an answer; its default if
// it does not say.
func scrapeTimeout(r *http.Request) time.Duration {
	s, err := strconv.ParseFloat(r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
	if err != nil || s <= 0 || s > 3600 {
		return 10 * time.Second
	}
	return time.Duration(s * float64(time.Second))
}

// Write implements [io.Writer].
func (t *turn) Write(p []byte) (int, error) {
	t.end()
	n, err := t.to.Write(p)
	t.begin()
	return n, err
}

func (t *turn) begin() {
	if t.take != nil && time.Now().Before(t.until) {
		t.give = t.take()
	}
}

func (t *turn) end() {
	if t.give != nil {
		t.give()
		t.give = nil
	}
}
