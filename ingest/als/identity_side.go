package als

import (
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// side is one end of a request.
type side uint8

const (
	sourceEnd side = iota
	destinationEnd
)

// sideSlots are the places of the evidence about one end.
type sideSlots struct {
	name, namespace, canonicalService, canonicalRevision slot
	principal, app, version, cluster                     slot

	all slots // of the tags
}

func newSideSlots(name, namespace, service, revision, principal, app, version, cluster mesh.Label) sideSlots {
	s := sideSlots{
		name: slot(name), namespace: slot(namespace),
		canonicalService: slot(service), canonicalRevision: slot(revision),
		principal: slot(principal), app: slot(app), version: slot(version), cluster: slot(cluster),
	}
	for _, l := range []mesh.Label{name, namespace, service, revision, principal, app, version, cluster} {
		s.all |= slot(l).bit()
	}
	return s
}

var tagsOf = [2]sideSlots{
	sourceEnd: newSideSlots(mesh.LabelSourceWorkload, mesh.LabelSourceWorkloadNamespace,
		mesh.LabelSourceCanonicalService, mesh.LabelSourceCanonicalRevision,
		mesh.LabelSourcePrincipal, mesh.LabelSourceApp, mesh.LabelSourceVersion, mesh.LabelSourceCluster),
	destinationEnd: newSideSlots(mesh.LabelDestinationWorkload, mesh.LabelDestinationWorkloadNamespace,
		mesh.LabelDestinationCanonicalService, mesh.LabelDestinationCanonicalRevision,
		mesh.LabelDestinationPrincipal, mesh.LabelDestinationApp, mesh.LabelDestinationVersion, mesh.LabelDestinationCluster),
}

// told returns a tag's value; what Envoy writes for a value that it does not
// have says nothing.
func (r *record) told(s slot) string {
	switch v := r.get(s); v {
	case "-", mesh.Unknown:
		return ""
	default:
		return v
	}
}

// tagged returns what the custom tags say about one end.
func (r *record) tagged(end side) mesh.Workload {
	t := &tagsOf[end]
	return mesh.Workload{
		Name:              r.told(t.name),
		Namespace:         r.told(t.namespace),
		CanonicalService:  r.told(t.canonicalService),
		CanonicalRevision: r.told(t.canonicalRevision),
		Principal:         r.told(t.principal),
		App:               r.told(t.app),
		Version:           r.told(t.version),
		Cluster:           r.told(t.cluster),
	}
}

// evidence is all that is known about one end of a request, best first.
type evidence struct {
	san       string // of the request's own TLS
	proved    string // principal that nothing may contradict: the SAN, or our reporter's certificate
	own       bool   // this end is the reporter
	mute      bool   // nothing about it is believed: the reporter is known, its side is not
	within    string // namespace that nothing may contradict: a waypoint serves its own
	node      *mesh.Workload
	peer      *mesh.Workload // filter state; nil if none
	tags      mesh.Workload
	byAddress *known
	snapshot  *snapshot
}

// judge merges the evidence into a workload. Claims that contradict what is
// proved are left out as a whole, and reported.
func (ev *evidence) judge() (w mesh.Workload, conflict bool) {
	id := parseSPIFFE(ev.proved)
	if ev.mute {
		return w, ev.tags != (mesh.Workload{}) || ev.peer != nil || ev.san != ""
	}
	take := func(claims *mesh.Workload) {
		if !believable(claims, ev.proved, id) || contradicts(claims.Namespace, ev.within) {
			conflict = true
			return
		}
		fill(&w, claims)
	}
	w.Principal = ev.san // as Istio: unknown for a request in plain text
	if ev.san != "" && !samePrincipal(ev.san, ev.proved) {
		conflict = true // the reporter shows a certificate that is not its own
		w.Principal = ev.proved
	}
	if ev.own {
		take(&ev.tags)
		fill(&w, ev.node)
	} else {
		if ev.peer != nil {
			take(ev.peer)
		}
		take(&ev.tags)
		ev.fillLearned(&w, id)
	}
	w.Principal = withScheme(w.Principal)
	if w.Principal != "" && id == (spiffeID{}) {
		id = parseSPIFFE(w.Principal)
	}
	fill(&w, &mesh.Workload{Name: id.serviceAccount, Namespace: id.namespace})
	fill(&w, &mesh.Workload{Namespace: ev.within})
	return w, conflict
}

func believable(claims *mesh.Workload, proved string, id spiffeID) bool {
	if proved == "" {
		return true
	}
	return !contradicts(claims.Namespace, id.namespace) && (claims.Principal == "" || samePrincipal(claims.Principal, proved))
}

// fillLearned takes what the registry knows by address, then by principal. What
// it knows of another workload than the one found so far is of no use, and
// neither is an address whose workload runs under another service account than
// the certificate's: connections of several workloads may come from one address.
func (ev *evidence) fillLearned(w *mesh.Workload, id spiffeID) {
	take := func(k *known) {
		if k != nil && believable(&k.w, ev.proved, id) &&
			!contradicts(k.w.Name, w.Name) && !contradicts(k.w.Namespace, w.Namespace) &&
			!contradicts(k.w.Namespace, ev.within) {
			fill(w, &k.w)
		}
	}
	if k := ev.byAddress; k != nil && (id.serviceAccount == "" || k.serviceAccount == id.serviceAccount) {
		take(k)
	}
	if principal := withScheme(w.Principal); principal != "" && ev.snapshot != nil {
		id := parseSPIFFE(principal)
		k := ev.snapshot.principal[strings.TrimPrefix(principal, spiffeScheme)]
		if k == nil {
			k = ev.snapshot.principal[unprovedKey(id.namespace, id.serviceAccount)]
		}
		take(k)
	}
}

// complete puts in Istio's fallbacks and makes label values of what is there.
func complete(w *mesh.Workload, repaired *int) {
	unknown := mesh.UnknownWorkload()
	fill(w, &unknown)
	for _, s := range []*string{&w.Name, &w.Namespace, &w.CanonicalService, &w.CanonicalRevision,
		&w.Principal, &w.App, &w.Version, &w.Cluster} {
		*s = valid(*s, repaired)
	}
}
