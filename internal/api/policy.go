package api

import (
	"net/http"

	"github.com/tallygate/tallygate/internal/fleet"
)

// policy answers /api/v1/policy.
func (a *API) policy(r *http.Request) (any, error) {
	self := func() (fleet.Policies, error) {
		p, err := a.opts.Policy()
		p.Replica = a.opts.Self().Name
		return fleet.Policies{Replicas: []fleet.Replica{a.opts.Self()}, Policies: []fleet.Policy{p}}, err
	}
	if own(r.URL.Query()) {
		return self()
	}
	parts, silent := fleet.Ask[fleet.Policies](r.Context(), a.sources(r.Context(), answer(self)), "/api/v1/policy", nil)
	out := fleet.MergePolicies(parts)
	out.Replicas = fleet.MergeReplicas(append(out.Replicas, silent...))
	return out, nil
}

// proxies answers /api/v1/proxies.
func (a *API) proxies(r *http.Request) (any, error) {
	me := a.opts.Self()
	self := func() (fleet.Proxies, error) {
		p := fleet.Proxies{Replicas: []fleet.Replica{me}, Instance: me.Name, Version: me.Version, Proxies: []fleet.Proxy{}}
		if a.opts.Proxies != nil {
			for _, c := range a.opts.Proxies() {
				p.Proxies = append(p.Proxies, fleet.Proxy{Connection: c, Replica: me.Name})
			}
		}
		return p, nil
	}
	if own(r.URL.Query()) {
		return self()
	}
	parts, silent := fleet.Ask[fleet.Proxies](r.Context(), a.sources(r.Context(), answer(self)), "/api/v1/proxies", nil)
	out := fleet.MergeProxies(parts)
	out.Instance, out.Version = me.Name, me.Version
	out.Replicas = fleet.MergeReplicas(append(out.Replicas, silent...))
	return out, nil
}
