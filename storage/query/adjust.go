package query

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/jaegermodel"
)

// adjust returns the trace as Jaeger shows it. What it changes is copied: the
// spans may belong to a store.
func adjust(t *jaegermodel.Trace, maxSkew time.Duration) *jaegermodel.Trace {
	spans := make([]*jaegermodel.Span, len(t.Spans))
	for i, s := range t.Spans {
		spans[i] = own(s)
	}
	splitShared(spans)
	for _, s := range spans {
		sortTags(s)
	}
	spans = unique(spans)
	adjustSkew(spans, maxSkew)
	for _, s := range spans {
		dottedIPs(s.Tags)
		dottedIPs(s.Process.Tags)
		moveLibraryTags(s)
		jaegermodel.SortTags(s.Process.Tags)
		dropEmptyRefs(s)
		parentFirst(s)
	}
	return &jaegermodel.Trace{Spans: spans}
}

// own copies all of a span that adjusters change.
func own(s *jaegermodel.Span) *jaegermodel.Span {
	c := *s
	c.Tags, c.Refs, c.Logs, c.Warnings = slices.Clone(s.Tags), slices.Clone(s.Refs), slices.Clone(s.Logs), slices.Clone(s.Warnings)
	c.Process = &jaegermodel.Process{Service: s.Process.Service, Tags: slices.Clone(s.Process.Tags)}
	for i := range c.Logs {
		c.Logs[i].Fields = slices.Clone(s.Logs[i].Fields)
	}
	return &c
}

// splitShared gives server spans that share their id with a client span, as
// Zipkin's do, an id of their own and makes them children.
func splitShared(spans []*jaegermodel.Span) {
	used, clients := map[jaegermodel.SpanID]bool{}, map[jaegermodel.SpanID]bool{}
	for _, s := range spans {
		used[s.SpanID] = true
		if isKind(s, "client") {
			clients[s.SpanID] = true
		}
	}
	renamed := map[jaegermodel.SpanID]jaegermodel.SpanID{}
	next := jaegermodel.SpanID(0)
	for _, s := range spans {
		if !isKind(s, "server") || !clients[s.SpanID] {
			continue
		}
		for next++; used[next]; next++ {
		}
		renamed[s.SpanID] = next
		setParent(s, s.SpanID)
		s.SpanID = next
	}
	for _, s := range spans {
		if id, ok := renamed[s.Parent()]; ok && s.SpanID != id {
			setParent(s, id)
		}
	}
}

func isKind(s *jaegermodel.Span, kind string) bool {
	kv, ok := s.Tag("span.kind")
	return ok && kv.Text() == kind
}

func setParent(s *jaegermodel.Span, id jaegermodel.SpanID) {
	old := s.Parent()
	for i, r := range s.Refs {
		if r.SpanID == old && r.TraceID == s.TraceID {
			s.Refs[i].SpanID = id
			return
		}
	}
	s.Refs = slices.Insert(s.Refs, 0, jaegermodel.Ref{TraceID: s.TraceID, SpanID: id})
}

// sortTags sorts tags and fields; the name of an event comes first.
func sortTags(s *jaegermodel.Span) {
	jaegermodel.SortTags(s.Tags)
	jaegermodel.SortTags(s.Process.Tags)
	for _, l := range s.Logs {
		rest := l.Fields
		for i, kv := range l.Fields {
			if kv.Key == "event" && kv.Type == jaegermodel.String {
				l.Fields[0], l.Fields[i] = l.Fields[i], l.Fields[0]
				rest = l.Fields[1:]
				break
			}
		}
		jaegermodel.SortTags(rest)
	}
}

// unique drops spans that are the same in everything.
func unique(spans []*jaegermodel.Span) []*jaegermodel.Span {
	seen := map[uint64]bool{}
	var buf []byte
	return slices.DeleteFunc(spans, func(s *jaegermodel.Span) bool {
		var h uint64
		h, buf = s.Hash(buf)
		dup := seen[h]
		seen[h] = true
		return dup
	})
}

// dottedIPs writes addresses that were stored as numbers as they are read.
func dottedIPs(tags []jaegermodel.KeyValue) {
	for i, kv := range tags {
		if kv.Key != "ip" && kv.Key != "peer.ipv4" {
			continue
		}
		var n uint32
		switch kv.Type {
		case jaegermodel.Int64:
			n = uint32(kv.Int64())
		case jaegermodel.Float64:
			n = uint32(kv.Float64())
		default:
			continue
		}
		tags[i] = jaegermodel.StringTag(kv.Key, dotted(n))
	}
}

func dotted(n uint32) string {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
}

var libraryTags = []string{
	"telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version", "telemetry.distro.name", "telemetry.distro.version",
}

// moveLibraryTags moves what describes the process to the process.
func moveLibraryTags(s *jaegermodel.Span) {
	s.Tags = slices.DeleteFunc(s.Tags, func(kv jaegermodel.KeyValue) bool {
		if !strings.HasPrefix(kv.Key, "telemetry.") || !slices.Contains(libraryTags, kv.Key) {
			return false
		}
		s.Process.Tags = append(s.Process.Tags, kv)
		return true
	})
}

// dropEmptyRefs drops references to no trace.
func dropEmptyRefs(s *jaegermodel.Span) {
	s.Refs = slices.DeleteFunc(s.Refs, func(r jaegermodel.Ref) bool {
		if r.TraceID != (jaegermodel.TraceID{}) {
			return false
		}
		s.Warnings = append(s.Warnings, fmt.Sprintf("Invalid span reference removed {TraceID:%s SpanID:%s RefType:%s}", r.TraceID, r.SpanID, refName(r.Type)))
		return true
	})
}

func refName(t jaegermodel.RefType) string {
	if t == jaegermodel.FollowsFrom {
		return "FOLLOWS_FROM"
	}
	return "CHILD_OF"
}

// parentFirst puts the reference that counts as parent first.
func parentFirst(s *jaegermodel.Span) {
	at := -1
	for i, r := range s.Refs {
		if r.TraceID != s.TraceID {
			continue
		}
		if r.Type == jaegermodel.ChildOf {
			at = i
			break
		}
		if at < 0 {
			at = i
		}
	}
	if at > 0 {
		s.Refs[0], s.Refs[at] = s.Refs[at], s.Refs[0]
	}
}
