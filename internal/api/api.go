package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/tallygate/tallygate/ingest/als"
	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/internal/tap"
	"github.com/tallygate/tallygate/policy/quota"
	"github.com/tallygate/tallygate/red"
	"github.com/tallygate/tallygate/storage/query"
)

// Options are what the API shows. What belongs to a plane that does not run is
// nil.
type Options struct {
	Self    func() fleet.Replica
	Peers   func(context.Context) []fleet.Source // the other replicas
	Proxies func() []als.Connection
	History *red.History
	Tap     *tap.Tap
	// WatchPeers calls fn with the lines of the peers' taps until ctx ends.
	WatchPeers func(ctx context.Context, q url.Values, fn func(fleet.Line))
	// Decision finds what the decision log remembers.
	Decision func(id string) (any, bool)
	// Policy is what this replica knows of its policies.
	Policy func() (fleet.Policy, error)
	Quotas *quota.Limiter
	// Trace reads a trace from the store; without one it is [storage.ErrNotFound].
	Trace    func(ctx context.Context, id string) (query.Trace, error)
	TraceURL func() string   // of a trace, with {trace_id}; empty if there is none
	Closing  <-chan struct{} // closed when streams are to end
}

// API answers requests.
type API struct{ opts Options }

// New returns an API.
func New(opts Options) *API { return &API{opts} }

// Routes are all there are.
func (a *API) Routes() []admin.Route {
	route := func(pattern string, h func(*http.Request) (any, error)) admin.Route {
		return admin.Route{Pattern: pattern, Handler: serve(h)}
	}
	routes := []admin.Route{
		{Pattern: "GET /api/v1/openapi.json", Handler: http.HandlerFunc(serveOpenAPI), Open: true},
		route("GET /api/v1/peers", a.peers),
		route("GET /api/v1/proxies", a.proxies),
	}
	if a.opts.History != nil {
		routes = append(routes,
			route("GET /api/v1/stat", a.stat),
			route("GET /api/v1/edges", a.edges),
			route("GET /api/v1/history", a.history),
			route("GET /api/v1/labels", a.labels),
		)
	}
	if a.opts.Tap != nil {
		routes = append(routes,
			route("GET /api/v1/errors", a.failures),
			route("GET /api/v1/entries/{id}", a.entry),
			admin.Route{Pattern: "GET /api/v1/tap", Handler: http.HandlerFunc(a.watch)},
		)
	}
	if a.opts.Decision != nil {
		routes = append(routes,
			route("GET /api/v1/decisions/{id}", a.decision),
			route("GET /api/v1/policy", a.policy),
		)
	}
	if a.opts.Trace != nil {
		routes = append(routes, a.traceRoute())
	}
	if a.opts.Quotas != nil {
		routes = append(routes, a.quotaRoutes()...)
	}
	return routes
}

// badRequest is an error of the one who asks.
type badRequest struct{ error }

var errNotFound = errors.New("there is none of that name, or it was too long ago")

// serve answers with JSON, an error with {"error": …}.
func serve(h func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := h(r)
		code := http.StatusOK
		if err != nil {
			code = http.StatusInternalServerError
			if _, bad := errors.AsType[badRequest](err); bad {
				code = http.StatusBadRequest
			} else if errors.Is(err, errNotFound) {
				code = http.StatusNotFound
			}
			v = map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
}

// own reports whether a request is for this replica alone.
func own(q url.Values) bool { return q.Get("replicas") == "own" }

// sources are this replica, which answers by itself, and its peers.
func (a *API) sources(ctx context.Context, self func(v any) error) []fleet.Source {
	list := []fleet.Source{{
		Name: a.opts.Self().Name,
		Get:  func(_ context.Context, _ string, v any) error { return self(v) },
	}}
	if a.opts.Peers != nil {
		list = append(list, a.opts.Peers(ctx)...)
	}
	return list
}

// answer is what self says to a source that is asked for T.
func answer[T any](self func() (T, error)) func(v any) error {
	return func(v any) error {
		t, err := self()
		*v.(*T) = t
		return err
	}
}

// Peer is an answer of a replica about itself.
type Peer struct {
	Replicas []fleet.Replica `json:"replicas"`
}

func (a *API) peers(r *http.Request) (any, error) {
	self := func() (Peer, error) { return Peer{[]fleet.Replica{a.opts.Self()}}, nil }
	if own(r.URL.Query()) {
		return self()
	}
	parts, silent := fleet.Ask[Peer](r.Context(), a.sources(r.Context(), answer(self)), "/api/v1/peers", nil)
	var out Peer
	for _, p := range parts {
		out.Replicas = append(out.Replicas, p.Replicas...)
	}
	out.Replicas = fleet.MergeReplicas(append(out.Replicas, silent...))
	return out, nil
}
