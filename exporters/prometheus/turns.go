package prometheus

import "io"

// turn is a scrape's place among those who may work at once. It is held while
// the scrape computes and given up while the client is written to, which may
// take as long as the client likes.
type turn struct {
	to   io.Writer
	take func() (give func())
	give func() // nil while there is none
}

// TakeTurns makes every scrape take a turn before it computes. take waits for
// one. It must be called before the first scrape.
func (h *Handler) TakeTurns(take func() (give func())) { h.turns = take }

func (h *Handler) turn(to io.Writer) *turn {
	take := h.turns
	if take == nil {
		take = func() func() { return func() {} }
	}
	return &turn{to: to, take: take, give: take()}
}

// Write implements [io.Writer].
func (t *turn) Write(p []byte) (int, error) {
	t.end()
	n, err := t.to.Write(p)
	t.give = t.take()
	return n, err
}

func (t *turn) end() {
	if t.give != nil {
		t.give()
		t.give = nil
	}
}
