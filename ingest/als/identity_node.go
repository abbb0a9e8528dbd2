package als

import (
	"net/netip"
	"strings"
	"unicode"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// node is what a stream's node identifier claims. The strings own their bytes
// and are valid UTF-8.
type node struct {
	id, cluster    string
	logName        string
	version        string // ISTIO_VERSION
	role           role
	ip             netip.Addr // of the proxy, by its id; not valid if not told
	serviceAccount string
	hasMetadata    bool // it names its workload and namespace
	workload       mesh.Workload
}

// role is what kind of proxy the node is, by the first part of an Istio node id.
type role uint8

const (
	roleUnknown role = iota
	roleSidecar
	roleRouter
	roleWaypoint
)

func (r role) String() string { return [...]string{"proxy", "sidecar", "router", "waypoint"}[r] }

// parseNode reads the identifier of a scanned message. It reports false if it is
// malformed.
func parseNode(f *frame) (n node, ok bool) {
	ok = true
	var metadata []byte
	f.identifiers(func(b []byte) bool {
		for i := 0; i < len(b); {
			tag, v, end := wire.Next(b, i)
			if end < 0 {
				ok = false
				return false
			}
			switch tag {
			case 1<<3 | wire.Bytes:
				metadata, ok = n.decode(b[v:end], metadata)
			case 2<<3 | wire.Bytes:
				n.logName = clean(wire.Lend(b[v:end]))
			}
			if !ok {
				return false
			}
			i = end
		}
		return true
	})
	if ok && metadata != nil {
		ok = n.decodeMetadata(metadata)
	}
	n.complete()
	return n, ok
}

// decode reads an envoy.config.core.v3.Node but for its metadata, of which it
// returns the serialised Struct, appended to the one before.
func (n *node) decode(b, metadata []byte) ([]byte, bool) {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return nil, false
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			n.id = clean(wire.Lend(b[v:end]))
		case 2<<3 | wire.Bytes:
			n.cluster = clean(wire.Lend(b[v:end]))
		case 3<<3 | wire.Bytes:
			metadata = append(metadata, b[v:end]...) // concatenated messages merge
		}
		i = end
	}
	return metadata, true
}

func (n *node) decodeMetadata(b []byte) (ok bool) {
	ok = true
	w := &n.workload
	text := func(value []byte) string { return clean(stringValue(value)) }
	for key, value := range structFields(b, &ok) {
		switch key {
		case "WORKLOAD_NAME":
			w.Name = text(value)
		case "NAMESPACE":
			w.Namespace = text(value)
		case "CLUSTER_ID":
			w.Cluster = text(value)
		case "SERVICE_ACCOUNT":
			n.serviceAccount = text(value)
		case "ISTIO_VERSION":
			n.version = text(value)
		case "LABELS":
			workloadLabels(structValue(value), w, &ok)
			w.App, w.Version = clean(w.App), clean(w.Version)
			w.CanonicalService, w.CanonicalRevision = clean(w.CanonicalService), clean(w.CanonicalRevision)
		}
	}
	n.hasMetadata = w.Name != "" && w.Namespace != ""
	return ok
}

// complete derives what the metadata does not say from id and cluster. An Istio
// id is type~ip~pod.namespace~domain, an Istio cluster workload.namespace.
func (n *node) complete() {
	w := &n.workload
	if part := strings.Split(n.id, "~"); len(part) == 4 {
		switch part[0] {
		case "sidecar":
			n.role = roleSidecar
		case "router":
			n.role = roleRouter
		case "waypoint":
			n.role = roleWaypoint
		}
		if ip, err := netip.ParseAddr(part[1]); err == nil {
			n.ip = ip.Unmap()
		}
		if _, ns, ok := strings.Cut(part[2], "."); ok && w.Namespace == "" {
			w.Namespace = ns
		}
	}
	if w.Name == "" {
		w.Name = n.cluster
		if w.Namespace != "" {
			w.Name = strings.TrimSuffix(w.Name, "."+w.Namespace)
		}
	}
	if w.Name == "" {
		w.Name = n.id
	}
	if w.CanonicalService == "" && n.hasMetadata {
		w.CanonicalService = w.Name
	}
}

// reporterOf reads the side from a word of a log name.
func reporterOf(logName string) mesh.Reporter {
	words := strings.FieldsFunc(logName, func(c rune) bool { return !unicode.IsLetter(c) })
	for _, word := range words {
		switch word {
		case "inbound", "destination":
			return mesh.ReporterDestination
		case "outbound", "source":
			return mesh.ReporterSource
		case "waypoint":
			return mesh.ReporterWaypoint
		}
	}
	return mesh.ReporterUnknown
}
