package als

import (
	"strings"
	"unique"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// resolved is what the identifying part of an entry comes to: canonical, so it
// outlives the entry and is remembered.
type resolved struct {
	source, destination mesh.Peer
	service             mesh.Service
	security            mesh.Security

	conflicts   [2]bool // claims about an end contradicted its certificate
	badMetadata bool
	repaired    bool
	missing     missing
}

// reporterFor says which side wrote the entry.
func (id *identity) reporterFor(r *record) mesh.Reporter {
	if r.set.has(slot(mesh.LabelReporter)) {
		switch v := r.strings[mesh.LabelReporter]; v {
		case "source":
			return mesh.ReporterSource
		case "destination":
			return mesh.ReporterDestination
		case "waypoint":
			return mesh.ReporterWaypoint
		case "1", "2": // the listener's direction, which a waypoint's does not tell
			if id.node.role == roleWaypoint {
				return mesh.ReporterWaypoint
			}
			if v == "1" {
				return mesh.ReporterDestination
			}
			return mesh.ReporterSource
		}
	}
	if id.node.role == roleWaypoint {
		return mesh.ReporterWaypoint
	}
	switch cluster := r.get(slotUpstreamCluster); {
	case strings.HasPrefix(cluster, "inbound|"), strings.HasPrefix(cluster, "InboundPassthroughCluster"):
		return mesh.ReporterDestination
	case strings.HasPrefix(cluster, "outbound|"), cluster == "PassthroughCluster", cluster == "BlackHoleCluster":
		return mesh.ReporterSource
	}
	if id.reporter == mesh.ReporterUnknown && id.node.role == roleRouter {
		return mesh.ReporterSource
	}
	return id.reporter
}

// relevant are the strings that may bear on the identities of an entry, by
// reporter. What does not bear on them must not be here: it would make every
// entry look new.
var relevant = func() (sets [4]slots) {
	tags := tagsOf[sourceEnd].all | tagsOf[destinationEnd].all |
		slot(mesh.LabelDestinationService).bit() | slot(mesh.LabelDestinationServiceName).bit() |
		slot(mesh.LabelDestinationServiceNamespace).bit() | slot(mesh.LabelConnectionSecurityPolicy).bit() |
		slotUpstreamCluster.bit()
	sans := slotLocalSAN.bit() | slotPeerSAN.bit()
	sets[mesh.ReporterUnknown] = tags | sans
	sets[mesh.ReporterSource] = tags
	sets[mesh.ReporterDestination] = tags | sans
	sets[mesh.ReporterWaypoint] = tags | sans
	return sets
}()

// looksAt says about which ends a reporter's peer metadata and addresses speak.
func looksAt(reporter mesh.Reporter, end side) bool {
	switch reporter {
	case mesh.ReporterSource:
		return end == destinationEnd
	case mesh.ReporterDestination:
		return end == sourceEnd
	}
	return true
}

// sans returns the principals of both ends that the request's TLS proves, empty
// if it proves nothing. The downstream connection of a source is the plain one
// to its own application.
func (r *record) sans(reporter mesh.Reporter) (source, destination string) {
	switch reporter {
	case mesh.ReporterSource:
		return "", ""
	case mesh.ReporterWaypoint: // the local certificate is the waypoint's own
		return r.get(slotPeerSAN), ""
	}
	return r.get(slotPeerSAN), r.get(slotLocalSAN)
}

// lookups are the parts of the evidence that take looking up before an entry can
// be recognised.
type lookups struct {
	peer        [2]mesh.Workload // from the filter state
	hasPeer     [2]bool
	badMetadata bool
	byAddress   [2]*known
}

func (x *lookups) fill(r *record, reporter mesh.Reporter, s *snapshot) {
	x.badMetadata = false
	for end := sourceEnd; end <= destinationEnd; end++ {
		x.hasPeer[end], x.byAddress[end] = false, nil
		if !looksAt(reporter, end) {
			continue
		}
		meta, wasm := slotDownstreamPeer, slotWasmDownstreamPeer
		if end == destinationEnd {
			meta, wasm = slotUpstreamPeer, slotWasmUpstreamPeer
		}
		if !r.set.has(meta) {
			meta = wasm
		}
		if r.set.has(meta) {
			x.hasPeer[end] = peerMetadata(wire.BytesOf(r.strings[meta]), &x.peer[end])
			x.badMetadata = x.badMetadata || !x.hasPeer[end]
		}
		if len(s.ip) > 0 && r.set&tagsOf[end].all != tagsOf[end].all {
			x.byAddress[end] = s.ip[r.addressOf(end)]
		}
	}
}

// addressOf returns the IP address of an end as the connection shows it.
func (r *record) addressOf(end side) string {
	ip := r.get(slotUpstreamRemote)
	if end == sourceEnd {
		if ip = r.get(slotDirectRemote); ip == "" {
			ip = r.get(slotDownstreamRemote)
		}
	}
	return strings.TrimPrefix(ip, "::ffff:")
}

// resolve works out the identities of an entry.
func (id *identity) resolve(r *record, reporter mesh.Reporter, x *lookups, s *snapshot, authority bool) *resolved {
	res := &resolved{badMetadata: x.badMetadata}
	repaired := 0
	var peers [2]mesh.Workload
	var sans [2]string
	sans[sourceEnd], sans[destinationEnd] = r.sans(reporter)
	for end := range side(2) {
		ev := evidence{
			san: sans[end], proved: sans[end],
			own:       reporter == mesh.ReporterSource && end == sourceEnd || reporter == mesh.ReporterDestination && end == destinationEnd,
			node:      &id.own,
			tags:      r.tagged(end),
			byAddress: x.byAddress[end],
			snapshot:  s,
		}
		if id.principal != "" {
			switch {
			case ev.own:
				ev.proved = id.principal
			case reporter == mesh.ReporterWaypoint && end == destinationEnd:
				ev.within = parseSPIFFE(id.principal).namespace
			case reporter == mesh.ReporterUnknown:
				ev.mute = true
			}
		}
		if x.hasPeer[end] {
			ev.peer = &x.peer[end]
		}
		peers[end], res.conflicts[end] = ev.judge()
	}
	service := r.destinationService(authority, peers[destinationEnd].Namespace)
	res.missing = missingFrom(reporter, &peers[sourceEnd], &peers[destinationEnd], &service)
	for end := range peers {
		complete(&peers[end], &repaired)
	}
	service.Host, service.Name = valid(service.Host, &repaired), valid(service.Name, &repaired)
	service.Namespace = valid(service.Namespace, &repaired)

	res.source, res.destination = unique.Make(peers[sourceEnd]), unique.Make(peers[destinationEnd])
	res.service = unique.Make(service)
	res.security = r.security(reporter, sans)
	res.repaired = repaired > 0
	return res
}

// security is the connection's policy: the server side knows it from the
// certificates, the client side only from the tag.
func (r *record) security(reporter mesh.Reporter, sans [2]string) mesh.Security {
	if reporter == mesh.ReporterDestination {
		if sans[sourceEnd] != "" && sans[destinationEnd] != "" {
			return mesh.SecurityMutualTLS
		}
		return mesh.SecurityNone
	}
	switch r.get(slot(mesh.LabelConnectionSecurityPolicy)) {
	case "mutual_tls":
		return mesh.SecurityMutualTLS
	case "none":
		return mesh.SecurityNone
	}
	return mesh.SecurityUnknown
}
