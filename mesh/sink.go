package mesh

import (
	"context"
	"time"
)

// Batch is a run of entries that one proxy reported in one message.
type Batch struct {
	Entries  []Entry
	Received time.Time // when the message arrived
	Details  Detailer  // reads the rest of the entries; nil if there is no more
}

// Sink takes batches of entries.
//
// b is lent for the call: neither it nor its Entries may be kept, and the
// strings of an Entry alias the receive buffer, which is overwritten after the
// call. Clone what you keep. Consume is called from many goroutines at once.
//
// An error means that no entry of b was taken. A Sink that cannot keep up
// blocks; the producer then stops reading from the proxy.
type Sink interface {
	Consume(ctx context.Context, b *Batch) error
}
