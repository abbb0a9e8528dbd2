package opa

import (
	"math"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/storage"
)

const (
	// minPacked is the size from which on an object is kept as text.
	minPacked = 1 << 20
	// maxPackedMember and meanPackedMember bound what is made into a value for one
	// that is looked up.
	maxPackedMember, meanPackedMember = 64 << 10, 4 << 10
	// maxPackedDepth is how deep objects lie that are kept as text.
	maxPackedDepth = 4
)

// outline finds the objects of a JSON text to be kept as text: large ones with
// many small members.
type outline struct {
	dec   *jsontext.Decoder
	text  []byte
	min   int  // minPacked
	named bool // the text as a whole lies in a folder that names it
	pace  *pacer

	path  storage.Path
	open  [maxPackedDepth][]span // members of the objects that are open, outermost first
	found []found
	twice bool // a name comes twice beside one of found, or around it
}

// found is an object to be kept as text.
type found struct {
	path       storage.Path
	start, end int
	members    []span
}

// findPacked fails where readJSON would.
func findPacked(text []byte, min int, named bool, p *pacer) ([]found, error) {
	if len(text) < min || uint64(len(text)) > math.MaxUint32 {
		return nil, nil
	}
	o := outline{dec: newJSONDecoder(text), text: text, min: min, named: named, pace: p}
	err := o.value(0)
	if err == nil {
		err = atEnd(o.dec)
	}
	if err != nil {
		return nil, located(text, o.dec, err)
	}
	if o.twice {
		return nil, nil
	}
	return o.found, nil
}

// value passes over a value.
func (o *outline) value(depth int) error {
	if o.dec.PeekKind() == '{' && depth < maxPackedDepth {
		return o.object(depth)
	}
	nested := 0
	for {
		o.pace.step()
		tok, err := o.dec.ReadToken()
		if err != nil {
			return err
		}
		switch tok.Kind() {
		case '{', '[':
			nested++
		case '}', ']':
			nested--
		}
		if nested == 0 {
			return nil
		}
	}
}

func (o *outline) object(depth int) error {
	if _, err := o.dec.ReadToken(); err != nil {
		return err
	}
	start := int(o.dec.InputOffset()) - 1
	members, longest := o.open[depth][:0], 0
	for o.dec.PeekKind() != '}' {
		o.pace.step()
		before := o.dec.InputOffset()
		name, err := o.dec.ReadToken()
		if err != nil {
			return err
		}
		if depth < maxPackedDepth-1 {
			o.path = append(o.path, name.String())
		}
		m := span{name: o.next(before), colon: uint32(o.dec.InputOffset())}
		if err := o.value(depth + 1); err != nil {
			return err
		}
		m.value = o.next(int64(m.colon))
		if depth < maxPackedDepth-1 {
			o.path = o.path[:len(o.path)-1]
		}
		m.end = uint32(o.dec.InputOffset())
		longest = max(longest, int(m.end-m.value))
		members = append(members, m)
	}
	if _, err := o.dec.ReadToken(); err != nil {
		return err
	}
	o.open[depth] = members
	end := int(o.dec.InputOffset())
	if size := end - start; (depth > 0 || o.named) && len(members) > 0 && size >= o.min && longest <= maxPackedMember && size/len(members) <= meanPackedMember {
		f := found{path: slices.Clone(o.path), start: start, end: end, members: slices.Clone(members)}
		for i := range f.members {
			f.members[i].name -= uint32(start)
			f.members[i].colon -= uint32(start)
			f.members[i].value -= uint32(start)
			f.members[i].end -= uint32(start)
		}
		for len(o.found) > 0 && o.found[len(o.found)-1].start > start {
			o.found = o.found[:len(o.found)-1] // is within
		}
		o.found = append(o.found, f)
	} else if len(o.found) > 0 && o.found[len(o.found)-1].start > start {
		o.twice = o.twice || o.hasTwins(members)
	}
	return nil
}

// hasTwins reports whether two members have one name.
func (o *outline) hasTwins(members []span) bool {
	names := make(map[string]bool, len(members))
	for _, m := range members {
		name, _ := jsontext.AppendUnquote(nil, o.text[m.name:m.colon]) // the error says that invalid UTF-8 was replaced
		if names[string(name)] {
			return true
		}
		names[string(name)] = true
	}
	return false
}

// next returns where the next thing begins that is not white space or
// punctuation, from at on.
func (o *outline) next(at int64) uint32 {
	for strings.IndexByte(" \t\r\n,:", o.text[at]) >= 0 {
		at++
	}
	return uint32(at)
}
