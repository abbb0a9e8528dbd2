package fleet

import (
	"encoding/base32"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// EdgeLabels are those that tell edges apart, and last the reporter: the two
// ends of an edge both count it.
var EdgeLabels = []string{
	"source_workload_namespace", "source_workload",
	"destination_workload_namespace", "destination_workload",
	"destination_service_namespace", "destination_service_name", "destination_service",
	"request_protocol", "reporter",
}

// Edges is the answer of /api/v1/edges.
type Edges struct {
	Replicas []Replica `json:"replicas"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Edges    []Edge    `json:"edges"`
}

// Edge is who calls whom. Its requests, errors and durations are those of the
// caller's proxy, which has also what never arrived; where that one does not
// report, those of the called. Denials are the larger count of the two: the
// caller's proxy cannot tell one from any other 403.
type Edge struct {
	ID                   string `json:"id"` // the same at every replica
	SourceNamespace      string `json:"source_namespace"`
	Source               string `json:"source"`
	DestinationNamespace string `json:"destination_namespace"`
	Destination          string `json:"destination"`
	ServiceNamespace     string `json:"service_namespace"`
	ServiceName          string `json:"service_name"`
	Service              string `json:"service"` // destination_service
	Protocol             string `json:"protocol"`
	Figures
	Reporters []string `json:"reporters"` // source, destination, waypoint
	SeenBy    []string `json:"seen_by"`   // names of replicas
}

// EdgeID names an edge by its label values without the reporter.
func EdgeID(values []string) string {
	h := fnv.New64a()
	for _, v := range values[:len(EdgeLabels)-1] {
		h.Write([]byte(v))
		h.Write([]byte{0})
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)))
}

// EdgesOf folds the rows of a Stat by [EdgeLabels] and merged from all replicas.
// The busiest come first.
func EdgesOf(s Stat) Edges {
	out := Edges{Replicas: s.Replicas, From: s.From, To: s.To, Edges: []Edge{}}
	at := map[string]int{}
	best := []int{} // rank of the reporter whose figures an edge has
	for i := range s.Rows {
		r := &s.Rows[i]
		id := EdgeID(r.Values)
		v := r.Values
		reporter := v[len(v)-1]
		k, ok := at[id]
		if !ok {
			k = len(out.Edges)
			at[id] = k
			out.Edges = append(out.Edges, Edge{
				ID: id, SourceNamespace: v[0], Source: v[1], DestinationNamespace: v[2], Destination: v[3],
				ServiceNamespace: v[4], ServiceName: v[5], Service: v[6], Protocol: v[7],
			})
			best = append(best, -1)
		}
		e := &out.Edges[k]
		denied, rate := e.Denied, e.DeniedRate
		if rank := slices.Index([]string{"", "destination", "waypoint", "source"}, reporter); rank > best[k] || best[k] < 0 {
			best[k] = rank
			e.Figures = r.Figures
		}
		e.Denied, e.DeniedRate = max(e.Denied, denied, r.Denied), max(e.DeniedRate, rate, r.DeniedRate)
		e.Reporters = union(e.Reporters, []string{reporter})
		e.SeenBy = union(e.SeenBy, r.SeenBy)
	}
	slices.SortStableFunc(out.Edges, func(a, b Edge) int {
		switch {
		case a.Rate > b.Rate:
			return -1
		case a.Rate < b.Rate:
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}
