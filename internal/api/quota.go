package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/policy/quota"
)

// maxTop bounds what one question may return.
const maxTop = 10_000

// quotaRoutes answer questions about quotas, each replica for itself.
func (a *API) quotaRoutes() []admin.Route {
	l := a.opts.Quotas
	return []admin.Route{
		each(a, "/api/v1/quotas", func(url.Values) ([]quota.View, error) { return l.List(), nil }),
		each(a, "/api/v1/quotas/top", func(q url.Values) ([]quota.KeyView, error) {
			n, err := strconv.Atoi(q.Get("n"))
			if err != nil || n < 1 || n > maxTop {
				return nil, badRequest{fmt.Errorf("n=%s: want a number from 1 to %d", q.Get("n"), maxTop)}
			}
			list, err := l.Top(q.Get("quota"), q.Get("by"), n)
			if err != nil {
				return nil, badRequest{err}
			}
			return list, nil
		}),
		each(a, "/api/v1/quotas/key", ofQuota(l.Get)),
		each(a, "/api/v1/quotas/explain", ofQuota(func(name, key string) ([]string, error) { return l.Explain(name, key), nil })),
		{Pattern: "POST /api/v1/quotas/reset", Handler: serve(func(r *http.Request) (any, error) {
			return only(a, ofQuota(l.Reset), r.URL.Query())
		})},
	}
}

// ofQuota makes ask a question about the quota and the key that a query names.
func ofQuota[T any](ask func(name, key string) (T, error)) func(url.Values) (T, error) {
	return func(q url.Values) (t T, err error) {
		if q.Get("quota") == "" {
			return t, badRequest{errors.New("quota: want the name of one")}
		}
		return ask(q.Get("quota"), q.Get("key"))
	}
}

// each answers with what every replica says for itself.
func each[T any](a *API, path string, ask func(url.Values) (T, error)) admin.Route {
	return admin.Route{Pattern: "GET " + path, Handler: serve(func(r *http.Request) (any, error) {
		q := r.URL.Query()
		self := func() (fleet.Each[T], error) { return only(a, ask, q) }
		if own(q) {
			return self()
		}
		return fleet.AskEach[T](r.Context(), a.sources(r.Context(), answer(self)), path, q)
	})}
}

// only is what this replica says.
func only[T any](a *API, ask func(url.Values) (T, error), q url.Values) (fleet.Each[T], error) {
	t, err := ask(q)
	me := a.opts.Self()
	return fleet.Each[T]{Replicas: []fleet.Replica{me}, Answers: []fleet.Of[T]{{Replica: me.Name, Answer: t}}}, err
}
