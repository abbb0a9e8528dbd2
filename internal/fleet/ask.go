package fleet

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"
)

// Source is a replica that can be asked.
type Source struct {
	Name string // of who does not answer: its address
	// Get decodes the JSON at a path of the admin API into v.
	Get func(ctx context.Context, path string, v any) error
}

// patience is how long a replica may take: one that hangs must not hide the
// others.
const patience = 5 * time.Second

// Ask asks all sources at once and returns the answers there are, and who did
// not answer.
func Ask[T any](ctx context.Context, sources []Source, path string, query url.Values) (answers []T, silent []Replica) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q := url.Values{}
	for k, v := range query {
		q[k] = v
	}
	q.Set("replicas", "own")
	all := make([]T, len(sources))
	errs := make([]error, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() { errs[i] = s.Get(ctx, path+"?"+q.Encode(), &all[i]) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			silent = append(silent, Replica{Name: sources[i].Name, Error: err.Error(), err: err})
			continue
		}
		answers = append(answers, all[i])
	}
	return answers, silent
}

// errorOf is the error of an answer that nobody gave.
func errorOf(answers int, silent []Replica) error {
	if answers > 0 || len(silent) == 0 {
		return nil
	}
	var errs []error
	for _, r := range silent {
		errs = append(errs, r.err)
	}
	return errors.Join(errs...)
}

// AskStat returns figures by labels of all sources.
func AskStat(ctx context.Context, sources []Source, query url.Values) (Stat, error) {
	parts, silent := Ask[Stat](ctx, sources, "/api/v1/stat", query)
	s := MergeStat(distinct(parts, func(s *Stat) []Replica { return s.Replicas }), false)
	s.Replicas = MergeReplicas(append(s.Replicas, silent...))
	return s, errorOf(len(parts), silent)
}

// AskEdges returns the edges of all sources.
func AskEdges(ctx context.Context, sources []Source, query url.Values) (Edges, error) {
	parts, silent := Ask[Stat](ctx, sources, "/api/v1/edges", query)
	e := EdgesOf(MergeStat(distinct(parts, func(s *Stat) []Replica { return s.Replicas }), false))
	e.Replicas = MergeReplicas(append(e.Replicas, silent...))
	return e, errorOf(len(parts), silent)
}

// AskHistory returns figures over time of all sources; of edges if the path says
// so.
func AskHistory(ctx context.Context, sources []Source, query url.Values) (History, error) {
	parts, silent := Ask[History](ctx, sources, "/api/v1/history", query)
	parts = distinct(parts, func(h *History) []Replica { return h.Replicas })
	edges := query.Get("by") == "edge"
	h := MergeHistory(parts, edges)
	if edges {
		h = FoldHistory(h)
	}
	h.Replicas = MergeReplicas(append(h.Replicas, silent...))
	return h, errorOf(len(parts), silent)
}

// distinct keeps one answer of each replica: a name may resolve to one that was
// asked by another.
func distinct[T any](parts []T, replicas func(*T) []Replica) []T {
	seen := map[string]bool{}
	var out []T
	for i := range parts {
		names := ""
		for _, r := range replicas(&parts[i]) {
			names += r.Name + "\x00"
		}
		if !seen[names] || names == "" {
			seen[names] = true
			out = append(out, parts[i])
		}
	}
	return out
}
