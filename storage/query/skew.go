package query

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/tallygate/tallygate/jaegermodel"
)

// node is a span in the tree of its trace.
type node struct {
	*jaegermodel.Span
	host     string
	children []*node
}

// adjustSkew moves spans of one host together so that they fit into the spans
// that called them, at most by most; beyond that, and for broken trees, spans get
// a warning. The texts are Jaeger's.
func adjustSkew(spans []*jaegermodel.Span, most time.Duration) {
	byID := map[jaegermodel.SpanID]*node{}
	var nodes, roots []*node
	for _, s := range spans {
		if byID[s.SpanID] != nil {
			s.Warnings = append(s.Warnings, "duplicate span IDs; skipping clock skew adjustment")
			continue
		}
		n := &node{Span: s, host: hostOf(s)}
		byID[s.SpanID] = n
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		parent := n.Parent()
		if parent == 0 {
			roots = append(roots, n)
			continue
		}
		if p := byID[parent]; p != nil {
			p.children = append(p.children, n)
			continue
		}
		n.Warnings = append(n.Warnings, fmt.Sprintf("invalid parent span IDs=%s; skipping clock skew adjustment", parent))
		roots = append(roots, n)
	}
	for _, n := range roots {
		adjustNode(n, nil, 0, n.host, most)
	}
}

func hostOf(s *jaegermodel.Span) string {
	for _, kv := range s.Process.Tags {
		if kv.Key != "ip" {
			continue
		}
		switch kv.Type {
		case jaegermodel.String:
			return kv.Str
		case jaegermodel.Int64:
			return dotted(uint32(kv.Int64()))
		case jaegermodel.Binary:
			if a, ok := netip.AddrFromSlice(kv.Bin); ok {
				return a.Unmap().String()
			}
		}
		return ""
	}
	return ""
}

// adjustNode walks down with the skew of the host that it is on. A cycle has no
// root, so it is not reached.
func adjustNode(n, parent *node, skew time.Duration, host string, most time.Duration) {
	if parent != nil && (n.host != host || n.host == "") {
		host, skew = n.host, skewOf(n, parent)
	}
	n.shift(skew, most)
	for _, c := range n.children {
		adjustNode(c, n, skew, host, most)
	}
}

// skewOf is by how much the child must move.
func skewOf(child, parent *node) time.Duration {
	if child.Duration > parent.Duration {
		return micros(max(parent.Start-child.Start, 0))
	}
	if child.Start >= parent.Start && child.Start+child.Duration <= parent.Start+parent.Duration {
		return 0
	}
	return micros(parent.Start-child.Start) + micros(parent.Duration-child.Duration)/2
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func (n *node) shift(skew, most time.Duration) {
	switch {
	case skew == 0:
	case most == 0:
		n.Warnings = append(n.Warnings, fmt.Sprintf("clock skew adjustment disabled; not applying calculated delta of %v", skew))
	case skew.Abs() > most:
		n.Warnings = append(n.Warnings, fmt.Sprintf("max clock skew adjustment delta of %v exceeded; not applying calculated delta of %v", most, skew))
	default:
		n.Start = (n.Start*1000 + int64(skew)) / 1000
		n.Warnings = append(n.Warnings, fmt.Sprintf("This span's timestamps were adjusted by %v", skew))
		for i := range n.Logs {
			n.Logs[i].Time = (n.Logs[i].Time*1000 + int64(skew)) / 1000
		}
	}
}
