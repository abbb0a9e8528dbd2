package prometheus

import (
	"io"

	"github.com/klauspost/compress/gzip"
)

// writer gathers what is written in one large buffer: lines are appended in
// place, and the stream below sees few, large writes.
type writer struct {
	to    io.Writer
	buf   []byte
	err   error // the first of to
	alive func() error
}

const writerSize = 128 << 10

func newWriter() *writer { return &writer{buf: make([]byte, 0, writerSize)} }

func (w *writer) reset(to io.Writer, alive func() error) {
	w.to, w.buf, w.err, w.alive = to, w.buf[:0], nil, alive
}

// room returns a slice to append up to n bytes to; it goes back to wrote.
func (w *writer) room(n int) []byte {
	if cap(w.buf)-len(w.buf) < n {
		w.flush()
	}
	return w.buf
}

func (w *writer) wrote(b []byte) { w.buf = b }

// Write makes an io.Writer of w, for encoders of others.
func (w *writer) Write(p []byte) (int, error) {
	b := w.room(len(p))
	w.wrote(append(b, p...))
	return len(p), w.err
}

// flush writes the buffer out.
func (w *writer) flush() {
	if w.err == nil && w.alive != nil {
		w.err = w.alive()
	}
	if w.err == nil {
		_, w.err = w.to.Write(w.buf)
	}
	w.buf = w.buf[:0]
	if cap(w.buf) > 2*writerSize {
		w.buf = make([]byte, 0, writerSize)
	}
}

// newGzip returns the compressor of a scrape. The fastest level still makes a
// fiftieth of repeated label sets.
func newGzip() *gzip.Writer {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // only of a level that does not exist
	}
	return z
}
