package local

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tallygate/tallygate/jaegermodel"
)

const (
	blockSpans = 8192 // most spans of a block
	chunkSpans = 128
	rowSize    = 32 // trace id, start, duration
	boundsSize = 16 // least and greatest start
)

// bounds are what is known of a block without reading it.
type bounds struct {
	block    uint64
	min, max int64 // starts, µs
}

// posting is one place of one term.
type posting struct {
	term  term
	place uint16
}

// sealer writes blocks. Its buffers are used again.
type sealer struct {
	codec    *codec
	postings []posting
	terms    map[*jaegermodel.Process][]term
	buf      []byte
	table    []byte
}

// seal adds the spans as one block to the batch. It sorts them.
func (z *sealer) seal(batch *pebble.Batch, p uint32, block uint64, spans []*jaegermodel.Span) (bounds, error) {
	slices.SortStableFunc(spans, func(a, b *jaegermodel.Span) int {
		return cmp.Or(bytes.Compare(a.TraceID[:], b.TraceID[:]), cmp.Compare(a.Start, b.Start))
	})
	bd := bounds{block: block, min: math.MaxInt64, max: math.MinInt64}
	for i := 0; i < len(spans); i += chunkSpans {
		packed := z.codec.encode(spans[i:min(i+chunkSpans, len(spans))])
		if err := batch.Set(chunkKey(p, block, i/chunkSpans), packed, nil); err != nil {
			return bd, err
		}
	}
	table := append(z.table[:0], make([]byte, boundsSize)...)
	for i, s := range spans {
		bd.min, bd.max = min(bd.min, s.Start), max(bd.max, s.Start)
		table = append(table, s.TraceID[:]...)
		table = binary.BigEndian.AppendUint64(table, uint64(s.Start))
		table = binary.BigEndian.AppendUint64(table, uint64(s.Duration))
		if i > 0 && spans[i-1].TraceID == s.TraceID {
			continue
		}
		n := 1
		for i+n < len(spans) && spans[i+n].TraceID == s.TraceID {
			n++
		}
		k := binary.BigEndian.AppendUint64(tracePrefix(p, s.TraceID), block)
		if err := batch.Set(k, binary.AppendUvarint(binary.AppendUvarint(nil, uint64(i)), uint64(n)), nil); err != nil {
			return bd, err
		}
	}
	binary.BigEndian.PutUint64(table, uint64(bd.min))
	binary.BigEndian.PutUint64(table[8:], uint64(bd.max))
	z.table = table
	if err := batch.Set(key64(p, kindBlock, block), table, nil); err != nil {
		return bd, err
	}
	return bd, z.index(batch, p, block, spans)
}

// index writes the places of every term.
func (z *sealer) index(batch *pebble.Batch, p uint32, block uint64, spans []*jaegermodel.Span) error {
	z.postings = z.postings[:0]
	clear(z.terms)
	for i, s := range spans {
		z.addTerms(uint16(i), s)
	}
	slices.SortFunc(z.postings, func(a, b posting) int {
		if a.term != b.term {
			return cmp.Compare(a.term, b.term)
		}
		return int(a.place) - int(b.place)
	})
	k := append(key64(p, kindTerm, 0), make([]byte, 8)...)
	var list []byte
	for i := 0; i < len(z.postings); {
		t, last := z.postings[i].term, -1
		list = list[:0]
		for ; i < len(z.postings) && z.postings[i].term == t; i++ {
			if place := int(z.postings[i].place); place != last {
				list = binary.AppendUvarint(list, uint64(place-max(last, 0)))
				last = place
			}
		}
		binary.BigEndian.PutUint64(k[6:], t)
		binary.BigEndian.PutUint64(k[14:], block)
		if err := batch.Set(k, list, nil); err != nil {
			return err
		}
	}
	return nil
}

// addTerms adds everything that the span is searched by. The terms of the
// process are the same for many spans.
func (z *sealer) addTerms(place uint16, s *jaegermodel.Span) {
	service := s.Process.Service
	terms, ok := z.terms[s.Process]
	if !ok {
		terms = append(terms, serviceTerm(service))
		for i := range s.Process.Tags {
			terms = z.appendTag(terms, service, &s.Process.Tags[i])
		}
		z.terms[s.Process] = terms
	}
	for _, t := range terms {
		z.postings = append(z.postings, posting{t, place})
	}
	var own [32]term
	list := own[:0]
	n := durationBits(s.Duration)
	list = append(list, operationTerm(service, s.Operation), durationTerm(service, "", n), durationTerm(service, s.Operation, n))
	for i := range s.Tags {
		list = z.appendTag(list, service, &s.Tags[i])
	}
	for l := range s.Logs {
		for i := range s.Logs[l].Fields {
			list = z.appendTag(list, service, &s.Logs[l].Fields[i])
		}
	}
	for _, t := range list {
		z.postings = append(z.postings, posting{t, place})
	}
}

func (z *sealer) appendTag(terms []term, service string, kv *jaegermodel.KeyValue) []term {
	if kv.Type == jaegermodel.Binary {
		return terms
	}
	var t term
	t, z.buf = tagTerm(z.buf, service, kv.Key, kv.Text())
	return append(terms, t)
}

// durationBits is the class of a duration.
func durationBits(d int64) int { return bits.Len64(uint64(max(d, 0))) }

// places decodes a posting list, which is ascending.
func places(list []byte) []uint16 {
	out := make([]uint16, 0, len(list))
	at := uint64(0)
	for len(list) > 0 {
		d, n := binary.Uvarint(list)
		if n <= 0 || at+d > math.MaxUint16 {
			return out
		}
		at += d
		out = append(out, uint16(at))
		list = list[n:]
	}
	return out
}

// intersect keeps of a what is in b, both ascending.
func intersect(a, b []uint16) []uint16 {
	out, j := a[:0], 0
	for _, v := range a {
		for j < len(b) && b[j] < v {
			j++
		}
		if j < len(b) && b[j] == v {
			out = append(out, v)
		}
	}
	return out
}

// merge returns what is in a or b, both ascending.
func merge(a, b []uint16) []uint16 {
	out := make([]uint16, 0, len(a)+len(b))
	out = append(append(out, a...), b...)
	slices.Sort(out)
	return slices.Compact(out)
}
