package mesh

import (
	"context"
	"sync/atomic"
)

// Request is a lens on a request that is to be judged: it reads a value from
// where it lies, and builds no more than is asked for.
//
// Values are lent for the call to Decide: their strings may alias the receive
// buffer. A Request is used by one goroutine at a time.
type Request interface {
	// Lookup returns the value at p, which for the empty Path is the whole
	// input of the contract (that of opa-envoy-plugin: attributes, parsed_path,
	// parsed_query, parsed_body, truncated_body, version).
	Lookup(p Path) (v Value, present bool)
}

// Prober is implemented by a Request that can tell the kind of a value without
// building it.
type Prober interface {
	Probe(p Path) (k Kind, present bool)
}

// Probe returns the kind of the value at p, by the cheapest way r has.
func Probe(r Request, p Path) (Kind, bool) {
	if pr, ok := r.(Prober); ok {
		return pr.Probe(p)
	}
	v, present := r.Lookup(p)
	return v.Kind, present
}

// Listener is the kind of listener a request came by; no decision is shared
// between kinds.
type Listener uint8

const (
	ListenerExtAuthzHTTP Listener = iota // Envoy's HTTP filter, over gRPC
	ListenerExtAuthzTCP                  // Envoy's network filter, over gRPC
	ListenerForwardAuth                  // HTTP forward-auth
	ListenerReplay                       // recorded or hand-written requests
	ListenerRateLimit                    // descriptors of Envoy's RateLimitService

	NumListeners
)

// String returns the name that metrics and logs use.
func (l Listener) String() string {
	return [...]string{"ext_authz_http", "ext_authz_tcp", "forward_auth", "replay", "ratelimit"}[l]
}

// Query asks for a decision.
type Query struct {
	Entrypoint string // as configured; empty for the default one
	Listener   Listener
	Request    Request
	TraceID    string // for the decision log; lent
	// Charges is room for what becomes of the quotas; without it there is one
	// more allocation.
	Charges []QuotaResult
	// Uncharged leaves the quotas of the verdict to who asks.
	Uncharged bool
}

// Verdict is what a policy said. It is immutable and shared by all requests
// that the same cached decision answers.
type Verdict struct {
	Allowed bool
	Status  int    // HTTP status of a denial; 0 for the default (403)
	Body    string // of a denial
	Reason  string
	Rule    string // package path and line of the rule that decided

	Headers         []Header // to the upstream if allowed, to the client if denied
	HeadersToRemove []string // from the request to the upstream
	ResponseHeaders []Header // to the client, with the upstream's response
	QueryToSet      []Header // query parameters
	QueryToRemove   []string
	// Quotas are charged for every request that the verdict allows; the charge is
	// part of the decision, not of the verdict.
	Quotas      []Quota
	QuotaDenial QuotaDenial

	Metadata          map[string]any // dynamic metadata as JSON has it, without the decision id
	GenerationVersion string         // revision of the bundle

	// Rendered is free for the listener that answers: what it makes of the
	// verdict it need not make again. By kind of listener.
	Rendered [NumListeners]atomic.Value
}

// QuotaDenial is the answer when a quota refuses.
type QuotaDenial struct {
	Status  int // HTTP status; 0 for the default (429)
	Body    string
	Headers []Header // to the client, beside retry-after and x-ratelimit-*
}

// Header is a name with one value; a name may come again.
type Header struct{ Name, Value string }

// Decision is a Verdict for one request.
type Decision struct {
	*Verdict
	ID  string // fresh for every decision
	Hit bool   // answered from the cache
	// Charges has what became of each of the verdict's quotas, Charge what that
	// comes to. An allowing verdict of which Charge.Over is true is a denial.
	// Charges lies in the room that the query had.
	Charges []QuotaResult
	Charge  QuotaVerdict
}

// Permits reports whether the request may pass: the policy allows it and no
// quota refuses.
func (d *Decision) Permits() bool { return d.Allowed && !d.Charge.Over }

// Strictest returns the quota to tell the caller of and what became of it, nil
// if there is none.
func (d *Decision) Strictest() (*Quota, *QuotaResult) {
	if len(d.Charges) == 0 || d.Charge.Strictest < 0 {
		return nil, nil
	}
	return &d.Quotas[d.Charge.Strictest], &d.Charges[d.Charge.Strictest]
}

// Decider judges requests. An error is a failure to judge, never a denial: the
// caller answers as it is configured to.
type Decider interface {
	Decide(ctx context.Context, q *Query) (Decision, error)
}
