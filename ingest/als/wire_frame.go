package als

import "github.com/tallygate/tallygate/ingest/wire"

// frame is a scanned StreamAccessLogsMessage: the lengths at its outer two
// levels are right, the entries are still unread.
type frame struct {
	b       []byte
	logs    uint64 // tag of the log_entries case; 0 if there is none
	start   int    // where the run of that case starts in b
	entries int

	hasIdentifier bool
}

const (
	tagIdentifier = 1<<3 | wire.Bytes
	tagHTTPLogs   = 2<<3 | wire.Bytes
	tagTCPLogs    = 3<<3 | wire.Bytes
	tagLogEntry   = 1<<3 | wire.Bytes
)

// scan walks the outer levels of message b. It reports false if they are
// malformed; then nothing of the message may be used.
func scan(b []byte) (f frame, ok bool) {
	f.b = b
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return frame{}, false
		}
		switch tag {
		case tagIdentifier:
			f.hasIdentifier = true
		case tagHTTPLogs, tagTCPLogs:
			if f.logs != tag { // the other case of the oneof is cleared
				f.logs, f.start, f.entries = tag, i, 0
			}
			n := countEntries(b[v:end])
			if n < 0 {
				return frame{}, false
			}
			f.entries += n
		}
		i = end
	}
	return f, true
}

func countEntries(b []byte) (n int) {
	for i := 0; i < len(b); {
		tag, _, end := wire.Next(b, i)
		if end < 0 {
			return -1
		}
		if tag == tagLogEntry {
			n++
		}
		i = end
	}
	return n
}

// identifiers calls f for each serialised Identifier of the message; several
// merge.
func (f *frame) identifiers(yield func([]byte) bool) {
	for i := 0; f.hasIdentifier && i < len(f.b); {
		tag, v, end := wire.Next(f.b, i)
		if tag == tagIdentifier && !yield(f.b[v:end]) {
			return
		}
		i = end
	}
}

// cursor walks the serialised entries of a frame.
type cursor struct {
	b     []byte
	logs  uint64
	outer int // next field of the message
	list  []byte
	inner int // next field of list
}

func (f *frame) cursor() cursor {
	if f.logs == 0 {
		return cursor{}
	}
	return cursor{b: f.b, logs: f.logs, outer: f.start}
}

// next returns the next serialised entry.
func (c *cursor) next() (entry []byte, ok bool) {
	for {
		for c.inner < len(c.list) {
			tag, v, end := wire.Next(c.list, c.inner)
			c.inner = end
			if tag == tagLogEntry {
				return c.list[v:end], true
			}
		}
		if c.outer >= len(c.b) {
			return nil, false
		}
		tag, v, end := wire.Next(c.b, c.outer)
		if tag == c.logs {
			c.list, c.inner = c.b[v:end], 0
		}
		c.outer = end
	}
}
