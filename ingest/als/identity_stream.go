package als

import (
	"net/netip"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// identity is who a stream is: what its connection proves and what its node
// identifier claims.
type identity struct {
	remote    netip.Addr // the other end of the connection; not valid on a Unix socket
	certified bool       // there is a verified client certificate
	principal string     // its SPIFFE URI, empty without one

	node     node
	mismatch bool // the node contradicts the certificate
	reporter mesh.Reporter

	// own is what to say of the reporting workload on the word of its node.
	own mesh.Workload

	facts []factKey // under which the registry was told of it
}

// claim takes the node identifier of a stream. It reports whether the claims
// agree with the certificate.
func (id *identity) claim(n node) (ok bool) {
	id.node = n
	id.reporter = reporterOf(n.logName)
	id.own = n.workload
	id.mismatch = false
	proved := parseSPIFFE(id.principal)
	if contradicts(n.workload.Namespace, proved.namespace) || contradicts(n.serviceAccount, proved.serviceAccount) {
		id.mismatch = true
		id.own = mesh.UnknownWorkload()
		id.own.Namespace = proved.namespace
		id.own.Principal = id.principal
	}
	return !id.mismatch
}

func contradicts(claimed, proved string) bool {
	return claimed != "" && proved != "" && claimed != proved
}

// provable returns the keys under which the workload of the stream may be learned. An
// address is believed if it is the connection's own; a principal if the
// certificate holds it, or, where nothing can be proved and trust allows, if
// the address agrees.
func (id *identity) provable(trust bool) (keys []factKey) {
	n := &id.node
	if id.mismatch || n.id == "" && n.cluster == "" {
		return nil
	}
	addressAgrees := id.remote.IsValid() && (!n.ip.IsValid() || n.ip == id.remote)
	if addressAgrees {
		keys = append(keys, factKey{factIP, id.remote.String()})
	}
	switch {
	case id.principal != "":
		keys = append(keys, factKey{factPrincipal, id.principal[len(spiffeScheme):]})
	case trust && addressAgrees && n.workload.Namespace != "" && n.serviceAccount != "":
		// The trust domain is not known: the key is its path.
		keys = append(keys, factKey{factPrincipal, unprovedKey(n.workload.Namespace, n.serviceAccount)})
	}
	return keys
}

func unprovedKey(namespace, serviceAccount string) string {
	return "/ns/" + namespace + "/sa/" + serviceAccount
}

// learn puts the stream's workload into the registry, until forget.
func (id *identity) learn(r *registry, trust bool, now time.Time) {
	id.forget(r, now)
	keys := id.provable(trust)
	if len(keys) == 0 && id.node.id != "" {
		r.m.learnedUnproved.Inc()
	}
	for _, key := range keys {
		if r.learn(key, id.who(), now) {
			id.facts = append(id.facts, key)
		}
	}
}

func (id *identity) forget(r *registry, now time.Time) {
	for _, key := range id.facts {
		r.forget(key, id.who(), now)
	}
	id.facts = id.facts[:0]
}

// who is the workload of the stream for the registry.
func (id *identity) who() learned {
	account := parseSPIFFE(id.principal).serviceAccount
	if account == "" {
		account = id.node.serviceAccount
	}
	return learned{id.own, account}
}
