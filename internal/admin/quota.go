package admin

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Quotas are what /api/v1/quotas asks; answers become JSON.
type Quotas struct {
	List    func() any
	Top     func(quota, by string, n int) (any, error)
	Get     func(quota, key string) (any, error)
	Reset   func(quota, key string) (any, error)
	Explain func(quota, key string) (any, error)
}

// maxTop bounds what one question may return.
const maxTop = 10_000

// Routes are the questions about quotas; all of them need trust.
func (q *Quotas) Routes() []Route {
	var routes []Route
	trusted := func(pattern string, h http.HandlerFunc) { routes = append(routes, Route{Pattern: pattern, Handler: h}) }
	trusted("GET /api/v1/quotas", serveJSON(q.List))
	trusted("GET /api/v1/quotas/top", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("n"))
		if err != nil || n < 1 || n > maxTop {
			http.Error(w, "n: want a number from 1 to "+strconv.Itoa(maxTop), http.StatusBadRequest)
			return
		}
		list, err := q.Top(r.FormValue("quota"), r.FormValue("by"), n)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, list)
	})
	of := func(ask func(quota, key string) (any, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("quota") == "" {
				http.Error(w, "quota: want the name of one", http.StatusBadRequest)
				return
			}
			answer, err := ask(r.FormValue("quota"), r.FormValue("key"))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			writeJSON(w, answer)
		}
	}
	trusted("GET /api/v1/quotas/key", of(q.Get))
	trusted("GET /api/v1/quotas/explain", of(q.Explain))
	trusted("POST /api/v1/quotas/reset", of(q.Reset))
	return routes
}

func writeJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(b)
}
