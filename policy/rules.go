package policy

import (
	"context"
	"errors"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// Rules are one generation of policies: immutable, used by many goroutines at
// once.
type Rules interface {
	// Shape says what the decision of an entrypoint rests on. "" is the default
	// entrypoint; an unknown one is an error.
	Shape(entrypoint string) (Shape, error)
	// Evaluate judges r. It ends when ctx does. What it returns holds no memory
	// of r.
	Evaluate(ctx context.Context, entrypoint string, r mesh.Request) (Result, error)
	// Revision is the authors' name of the generation.
	Revision() string
}

// Shape is what a decision can rest on, whatever the request.
type Shape struct {
	// Paths are all that is read of the input; none is below another.
	Paths []mesh.Path
	// Kinds are values of which only presence and kind matter.
	Kinds []mesh.Path
	// Cacheable is false if the whole input is read, or something that no two
	// requests have in common. Why not is in Reason, with file and line.
	Cacheable bool
	Reason    string
	// NeedsTTL is true if something beside the input is read that changes, such
	// as the time: then only decisions with a stated TTL are kept.
	NeedsTTL bool
	// TTL is what the rules state for all decisions of the entrypoint, 0 if
	// nothing.
	TTL time.Duration
}

// Result is what the rules say to one request.
type Result struct {
	Verdict *mesh.Verdict
	Cache   CacheHint
	// Expires is the earliest expiry of a token or certificate that the
	// decision verified or decoded; zero if there is none.
	Expires time.Time
}

// CacheHint is what a result itself says about being kept.
type CacheHint struct {
	NoStore  bool
	HasTTL   bool
	TTL      time.Duration // if HasTTL
	NotAfter time.Time     // zero if not said
}

// Failures to judge, for errors.Is.
var (
	ErrNoRules  = errors.New("no policy is active yet")
	ErrOverload = errors.New("too many evaluations are under way")
	ErrUnknown  = errors.New("there is no such entrypoint")
	ErrQuotas   = errors.New("the decision names quotas, and there is nothing that charges them")
	ErrAborted  = errors.New("the evaluation panicked")
)
