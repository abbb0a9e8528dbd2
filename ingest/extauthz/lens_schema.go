package extauthz

import (
	"slices"

	"github.com/tallygate/tallygate/ingest/wire"
)

// kind is how a field of the wire appears in the input, as protojson has it.
type kind uint8

const (
	kindString kind = iota
	kindBytes       // base64
	kindInt64       // a string of digits
	kindUint32      // a number
	kindBool
	kindEnum    // a name, or a number if it has none
	kindMessage // an object of its children
	kindStrings // map<string, string>
	kindAddress // these are read only when asked for
	kindTimestamp
	kindMetadata
	kindHeaderMap
)

// node is a field of the wire at one place of the input.
type node struct {
	name     string // JSON name
	num      int
	kind     kind
	explicit bool // present even if zero: a member of a oneof
	oneof    int  // members of a message with the same number other than 0 exclude each other
	enum     []string
	children []*node // ascending by name

	wire   uint64 // wire type
	slot   uint8
	byNum  []*node
	clears uint64 // slots that a oneof member empties
}

// schema numbers the nodes of a tree.
type schema struct {
	root  *node
	slots int
}

// maxSlots is what a view has room for.
const maxSlots = 48

func newSchema(root *node) *schema {
	s := &schema{root: root}
	s.number(root)
	if s.slots > maxSlots {
		panic("extauthz: a schema has more fields than a view has room for")
	}
	return s
}

func (s *schema) number(n *node) {
	n.slot = uint8(s.slots)
	s.slots++
	switch n.kind {
	case kindInt64, kindUint32, kindBool, kindEnum:
		n.wire = wire.Varint
	default:
		n.wire = wire.Bytes
	}
	slices.SortFunc(n.children, func(a, b *node) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	for _, c := range n.children {
		s.number(c)
		for len(n.byNum) <= c.num {
			n.byNum = append(n.byNum, nil)
		}
		n.byNum[c.num] = c
	}
	for _, c := range n.children {
		for _, other := range n.children {
			if c.oneof != 0 && c.oneof == other.oneof && c != other {
				c.clears |= other.below()
			}
		}
	}
}

// below is the slots of n and everything in it.
func (n *node) below() uint64 {
	m := uint64(1) << n.slot
	for _, c := range n.children {
		m |= c.below()
	}
	return m
}

func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

func message(name string, num int, children ...*node) *node {
	return &node{name: name, num: num, kind: kindMessage, children: children}
}

func leaf(name string, num int, k kind) *node { return &node{name: name, num: num, kind: k} }

// either makes nodes members of a oneof.
func either(group int, nodes ...*node) []*node {
	for _, n := range nodes {
		n.oneof, n.explicit = group, true
	}
	return nodes
}

func peer(name string, num int) *node {
	return message(name, num,
		leaf("address", 1, kindAddress),
		leaf("service", 2, kindString),
		leaf("labels", 3, kindStrings),
		leaf("principal", 4, kindString),
		leaf("certificate", 5, kindString),
	)
}

// The places of the input that are asked for by name in this package.
var (
	nodeHTTP = message("http", 2,
		leaf("id", 1, kindString), nodeMethod, nodeHeaders, nodePath, nodeHost,
		leaf("scheme", 6, kindString),
		leaf("query", 7, kindString),
		leaf("fragment", 8, kindString),
		leaf("size", 9, kindInt64),
		leaf("protocol", 10, kindString),
		nodeBody, nodeRawBody,
		leaf("headerMap", 13, kindHeaderMap),
	)
	nodeMethod     = leaf("method", 2, kindString)
	nodeHeaders    = leaf("headers", 3, kindStrings)
	nodePath       = leaf("path", 4, kindString)
	nodeHost       = leaf("host", 5, kindString)
	nodeBody       = leaf("body", 11, kindString)
	nodeRawBody    = leaf("rawBody", 12, kindBytes)
	nodeExtensions = leaf("contextExtensions", 10, kindStrings)
	nodeSource     = peer("source", 1)
	nodePrincipal  = nodeSource.child("principal")
)

// checkRequest is envoy.service.auth.v3.CheckRequest: the one table from the
// paths of the input to the fields of the wire.
var checkRequest = newSchema(message("", 0,
	message("attributes", 1,
		nodeSource,
		peer("destination", 2),
		message("request", 4, leaf("time", 1, kindTimestamp), nodeHTTP),
		nodeExtensions,
		leaf("metadataContext", 11, kindMetadata),
		message("tlsSession", 12, leaf("sni", 1, kindString)),
		leaf("routeMetadataContext", 13, kindMetadata),
	),
))

// address is envoy.config.core.v3.Address.
var address = newSchema(message("", 0, either(1,
	message("socketAddress", 1, append(either(1,
		leaf("portValue", 3, kindUint32),
		leaf("namedPort", 4, kindString),
	),
		&node{name: "protocol", num: 1, kind: kindEnum, enum: []string{"TCP", "UDP"}},
		leaf("address", 2, kindString),
		leaf("resolverName", 5, kindString),
		leaf("ipv4Compat", 6, kindBool),
		leaf("networkNamespaceFilepath", 7, kindString),
	)...),
	message("pipe", 2,
		leaf("path", 1, kindString),
		leaf("mode", 2, kindUint32),
	),
	message("envoyInternalAddress", 3, append(either(1,
		leaf("serverListenerName", 1, kindString),
	),
		leaf("endpointId", 2, kindString),
	)...),
)...))
