package mesh

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"
)

// Algorithm is how a quota counts.
type Algorithm uint8

const (
	// GCRA refills all the time: Limit tokens in every Per, up to Burst at once.
	GCRA Algorithm = iota
	// FixedWindow has Limit tokens in each Per since 1970, which end with it.
	FixedWindow
)

// String returns the name that policies and metrics use.
func (a Algorithm) String() string { return [...]string{"gcra", "fixed_window"}[a] }

// QuotaOnError says what a quota is worth while its source cannot be asked.
type QuotaOnError uint8

const (
	QuotaErrorDefault QuotaOnError = iota // as configured
	QuotaErrorAllow                       // nothing is counted
	QuotaErrorDeny
	QuotaErrorLocal // each replica counts for itself
)

// String returns the name that policies and configuration use.
func (o QuotaOnError) String() string { return [...]string{"", "allow", "deny", "local"}[o] }

// Quota is one limit with what a request is to be charged for. It is lent for
// the call to Charge.
type Quota struct {
	Name      string // which limit, as metrics and answers call it
	Key       string // who is counted; any bytes
	Limit     uint64 // tokens that come in Per; at least 1
	Per       time.Duration
	Burst     uint64 // the most at once, for GCRA; 0 means Limit
	Cost      uint64 // 0 asks and takes nothing
	Algorithm Algorithm
	OnError   QuotaOnError
	Sync      bool // a shared source is asked on every charge, nothing is taken ahead
	Shadow    bool // counted, never enforced
	Refund    bool // Cost is given back instead; never refused
	Overdraw  bool // a refusal takes Cost too: for what is known only once it was used
	// ID is what is counted, of fixed size: see Identify.
	ID QuotaID
}

// QuotaID is a digest of what a quota counts, the same in every process.
type QuotaID [16]byte

// Identify sets ID from algorithm, period, name and key. Limit, burst and cost
// are not in it: who changes plan takes along what was used. scratch is free to
// be used and returned for the next one; nil will do.
func (q *Quota) Identify(scratch []byte) []byte {
	b := append(scratch[:0], byte(q.Algorithm))
	b = binary.BigEndian.AppendUint64(b, uint64(q.Per))
	b = binary.BigEndian.AppendUint64(b, uint64(len(q.Name)))
	b = append(b, q.Name...)
	b = append(b, q.Key...)
	sum := sha256.Sum256(b)
	copy(q.ID[:], sum[:])
	return b
}

// QuotaSource says who counted.
type QuotaSource uint8

const (
	QuotaLocal    QuotaSource = iota // this process alone
	QuotaLease                       // tokens taken ahead of Redis
	QuotaRedis                       // Redis, asked for this charge
	QuotaOverflow                    // the limit that all new keys of a full table share
	QuotaFallback                    // this process alone, while Redis cannot be asked
	QuotaFailed                      // nobody: Redis cannot be asked, and on_error answered
)

// String returns the name that metrics and logs use.
func (s QuotaSource) String() string {
	return [...]string{"local", "lease", "redis", "overflow", "fallback", "failed"}[s]
}

// Never is the RetryAfter of a charge that waiting does not help: it costs more
// than there can be at once.
const Never = time.Duration(math.MaxInt64)

// QuotaResult is what became of one quota of a charge.
type QuotaResult struct {
	Over       bool // refused; of a shadow quota: would have been
	Source     QuotaSource
	Limit      uint64
	Remaining  uint64        // what could still be taken at once
	Reset      time.Duration // until all of it can be: full again, or the end of the window
	RetryAfter time.Duration // if Over: when the same charge can pass, or Never
}

// ChargeMode says what several quotas of one charge have to do with each other.
type ChargeMode uint8

const (
	// ChargeAll takes from all or, if one refuses, from none: a decision.
	// Shadow quotas are taken from for themselves and refuse nothing.
	ChargeAll ChargeMode = iota
	// ChargeEach takes from each what that one allows: the descriptors of a
	// rate limit request.
	ChargeEach
)

// QuotaVerdict is what several quotas come to.
type QuotaVerdict struct {
	Over bool // one that is no shadow refused
	// Strictest is the index of the quota to tell the caller of: the one that
	// refuses for longest, else the one with the least share left; -1 if there
	// are none but shadows.
	Strictest int
}

// Limiter charges quotas. It never fails: what cannot be asked is answered as
// OnError says, within the deadline of ctx.
//
// quotas and results are lent; results has the length of quotas and is written
// whole. Charge is called from many goroutines at once and allocates nothing as
// long as the source need not be asked.
type Limiter interface {
	Charge(ctx context.Context, quotas []Quota, results []QuotaResult, mode ChargeMode) QuotaVerdict
}
