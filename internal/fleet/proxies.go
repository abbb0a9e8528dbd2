package fleet

import (
	"cmp"
	"slices"

	"github.com/tallygate/tallygate/ingest/als"
)

// Proxies is the answer of /api/v1/proxies: who streams access logs. Instance and
// Version are those of the replica that was asked.
type Proxies struct {
	Replicas []Replica `json:"replicas"`
	Instance string    `json:"instance"`
	Version  string    `json:"version"`
	Proxies  []Proxy   `json:"proxies"`
}

// Proxy is a proxy and the replica that it streams to.
type Proxy struct {
	als.Connection
	Replica string `json:"replica"`
}

// MergeProxies makes one list of several.
func MergeProxies(parts []Proxies) Proxies {
	out := Proxies{Replicas: []Replica{}, Proxies: []Proxy{}}
	for _, p := range distinct(parts, func(p *Proxies) []Replica { return p.Replicas }) {
		out.Replicas = append(out.Replicas, p.Replicas...)
		out.Proxies = append(out.Proxies, p.Proxies...)
	}
	slices.SortStableFunc(out.Proxies, func(a, b Proxy) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Replica, b.Replica))
	})
	return out
}
