package jaeger

import (
	"unicode/utf8"

	"github.com/uber/jaeger-client-go/thrift"
	"github.com/uber/jaeger-client-go/thrift-gen/jaeger"
)

// cutTag marks a span of which something is missing.
const cutTag = "tallygate.truncated"

// keepText is the length to which texts are cut first.
const keepText = 256

// cutSpan makes a span fit into max bytes: without logs and references beyond its
// parent, then with shorter texts, then with fewer tags. It returns its size.
func cutSpan(s *jaeger.Span, max int, size func(thrift.TStruct) int) int {
	s.Tags = append([]*jaeger.Tag{{Key: cutTag, VType: jaeger.TagType_BOOL, VBool: new(true)}}, s.Tags...)
	if n := size(s); n <= max {
		return n
	}
	s.Logs, s.References = nil, nil
	s.OperationName = short(s.OperationName, keepText)
	cutTags(s.Tags, keepText)
	for {
		n := size(s)
		if n <= max || len(s.Tags) <= 1 {
			return n
		}
		s.Tags = s.Tags[:1+(len(s.Tags)-1)/2]
	}
}

// cutProcess does the same with a process.
func cutProcess(p *jaeger.Process, max int, size func(thrift.TStruct) int) int {
	p.ServiceName = short(p.ServiceName, keepText)
	cutTags(p.Tags, keepText)
	for {
		n := size(p)
		if n <= max || len(p.Tags) == 0 {
			return n
		}
		p.Tags = p.Tags[:len(p.Tags)/2]
	}
}

func cutTags(tags []*jaeger.Tag, keep int) {
	for _, t := range tags {
		t.Key = short(t.Key, keep)
		if t.VStr != nil {
			t.VStr = new(short(*t.VStr, keep))
		}
		if len(t.VBinary) > keep {
			t.VBinary = t.VBinary[:keep]
		}
	}
}

func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
