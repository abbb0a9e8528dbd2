package extauthz

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// newID returns a decision id for an answer that no decider gave: 128 random
// bits. The source is the runtime's ChaCha8, seeded by the system, one for each
// thread.
func newID() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], rand.Uint64())
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64())
	return hex.EncodeToString(b[:])
}
