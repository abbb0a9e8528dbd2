package fleet

import (
	"cmp"
	"context"
	"net/url"
	"slices"
)

// Each is an answer in which every replica speaks for itself, since what they
// say does not add up: each counts its own quotas.
type Each[T any] struct {
	Replicas []Replica `json:"replicas"`
	Answers  []Of[T]   `json:"answers"`
}

// Of is the answer of one replica.
type Of[T any] struct {
	Replica string `json:"replica"`
	Answer  T      `json:"answer"`
}

// AskEach returns the answers of all sources to a question.
func AskEach[T any](ctx context.Context, sources []Source, path string, query url.Values) (Each[T], error) {
	parts, silent := Ask[Each[T]](ctx, sources, path, query)
	out := Each[T]{Replicas: []Replica{}, Answers: []Of[T]{}}
	for _, p := range distinct(parts, func(e *Each[T]) []Replica { return e.Replicas }) {
		out.Replicas = append(out.Replicas, p.Replicas...)
		out.Answers = append(out.Answers, p.Answers...)
	}
	slices.SortStableFunc(out.Answers, func(a, b Of[T]) int { return cmp.Compare(a.Replica, b.Replica) })
	out.Replicas = MergeReplicas(append(out.Replicas, silent...))
	return out, errorOf(len(parts), silent)
}
