package opa

import (
	"encoding/binary"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tallygate/tallygate/policy/cache"
)

const (
	tokenMemoryBytes = 16 << 20
	maxTokenBytes    = 16 << 10
	// maxTokenAge is when a token is looked at anew, whatever it says.
	maxTokenAge = 10 * time.Minute
)

// tokenMemory holds what tokens were decoded to, or verified as, by the whole
// token and by what it was verified against. What is remembered is the result of
// the same call, no more: a token is verified with the keys of the call, and
// again as soon as its exp or nbf may change what comes of it.
type tokenMemory struct{ kept *cache.Cache[*tokenResult] }

type tokenResult struct {
	constraints *ast.Term // nil if it was only decoded
	result      *ast.Term
	changes     [2]time.Time
	from        time.Time // the result is not that of an earlier time
}

func newTokenMemory() *tokenMemory {
	return &tokenMemory{cache.New[*tokenResult](tokenMemoryBytes)}
}

// get returns what came of the token in t at a time from which, until now,
// nothing can have changed.
func (m *tokenMemory) get(t, constraints *ast.Term, now time.Time) *tokenResult {
	var buf [2048]byte
	key, ok := tokenKey(buf[:0], t, constraints)
	if m == nil || !ok {
		return nil
	}
	kept, found := m.kept.Get(key, now)
	if found != cache.Hit || now.Before(kept.from) || !sameTerm(kept.constraints, constraints) {
		return nil
	}
	return kept
}

func (m *tokenMemory) put(t *ast.Term, kept *tokenResult, now time.Time) {
	var buf [2048]byte
	key, ok := tokenKey(buf[:0], t, kept.constraints)
	if m == nil || !ok {
		return
	}
	until := earliest(now.Add(maxTokenAge), now, kept.changes[:]...)
	// A decoded token is about four times as large as its text.
	m.kept.Put(key, kept, 4*len(key)+512, now, until)
}

// tokenKey begins with a digest of the constraints, so that several may be
// remembered of a token; the constraints themselves are compared on a hit.
func tokenKey(b []byte, t, constraints *ast.Term) ([]byte, bool) {
	text, ok := t.Value.(ast.String)
	if !ok || len(text) > maxTokenBytes {
		return nil, false
	}
	if constraints == nil {
		b = append(b, 0)
	} else {
		b = binary.BigEndian.AppendUint64(append(b, 1), uint64(constraints.Hash()))
	}
	return append(b, text...), true
}

func sameTerm(a, b *ast.Term) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a == b || a.Value.Compare(b.Value) == 0
}
