package api

import (
	"net/http"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/fleet"
)

// each answers with what every replica says for itself.
func each[T any](a *API, pattern string, ask func(*http.Request) (T, error)) admin.Route {
	return admin.Route{Pattern: pattern, Handler: serve(func(r *http.Request) (any, error) {
		self := func() (fleet.Each[T], error) { return only(a, ask, r) }
		if own(r.URL.Query()) {
			return self()
		}
		return fleet.AskEach[T](r.Context(), a.sources(r.Context(), answer(self)), r.URL.EscapedPath(), r.URL.Query())
	})}
}

// only is what this replica says.
func only[T any](a *API, ask func(*http.Request) (T, error), r *http.Request) (fleet.Each[T], error) {
	t, err := ask(r)
	me := a.opts.Self()
	return fleet.Each[T]{Replicas: []fleet.Replica{me}, Answers: []fleet.Of[T]{{Replica: me.Name, Answer: t}}}, err
}
