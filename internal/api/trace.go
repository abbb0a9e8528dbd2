package api

import (
	"errors"
	"net/http"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/storage"
	"github.com/tallygate/tallygate/storage/query"
)

// traceRoute answers with the spans of a trace that each replica can read. A proxy
// streams to one replica, so each has a part, unless they share a store.
func (a *API) traceRoute() admin.Route {
	return each(a, "GET /api/v1/traces/{id}", func(r *http.Request) (query.Trace, error) {
		t, err := a.opts.Trace(r.Context(), r.PathValue("id"))
		if errors.Is(err, storage.ErrNotFound) {
			err = nil
		}
		return t, err
	})
}
