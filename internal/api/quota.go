package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/policy/quota"
)

// maxTop bounds what one question may return.
const maxTop = 10_000

// quotaRoutes answer questions about quotas, each replica for itself.
func (a *API) quotaRoutes() []admin.Route {
	l := a.opts.Quotas
	return []admin.Route{
		each(a, "GET /api/v1/quotas", func(*http.Request) ([]quota.View, error) { return l.List(), nil }),
		each(a, "GET /api/v1/quotas/top", func(r *http.Request) ([]quota.KeyView, error) {
			q := r.URL.Query()
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
		each(a, "GET /api/v1/quotas/key", ofQuota(l.Get)),
		each(a, "GET /api/v1/quotas/explain", ofQuota(func(name, key string) ([]string, error) { return l.Explain(name, key), nil })),
		{Pattern: "POST /api/v1/quotas/reset", Handler: serve(func(r *http.Request) (any, error) {
			return only(a, ofQuota(l.Reset), r)
		})},
	}
}

// ofQuota makes ask a question about the quota and the key that a query names.
func ofQuota[T any](ask func(name, key string) (T, error)) func(*http.Request) (T, error) {
	return func(r *http.Request) (t T, err error) {
		q := r.URL.Query()
		if q.Get("quota") == "" {
			return t, badRequest{errors.New("quota: want the name of one")}
		}
		return ask(q.Get("quota"), q.Get("key"))
	}
}
