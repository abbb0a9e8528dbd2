package local

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/tallygate/tallygate/jaegermodel"
)

// Keys, all integers big-endian:
//
//	'P' partition                       when it was begun, µs
//	'p' partition 'b' block             table: bounds, and trace, start, duration of each span
//	'p' partition 'c' block chunk       spans, compressed
//	'p' partition 't' term block        places in the block
//	'p' partition 'r' trace block       first place in the block, and how many
//	'p' partition 'o' service kind op   nothing; the texts are length-prefixed
//	'p' partition 'd' time seq          edges
//	'p' partition 'w' seq               spans that are not yet in a block, compressed
const (
	kindBlock      = 'b'
	kindChunk      = 'c'
	kindTerm       = 't'
	kindTrace      = 'r'
	kindOperation  = 'o'
	kindDependency = 'd'
	kindWaiting    = 'w'
)

func partitionKey(p uint32) []byte { return binary.BigEndian.AppendUint32([]byte{'P'}, p) }

// partitionStart is where a partition's keys begin, and its predecessor's end.
func partitionStart(p uint32) []byte { return binary.BigEndian.AppendUint32([]byte{'p'}, p) }

func key(p uint32, kind byte) []byte {
	return append(binary.BigEndian.AppendUint32(append(make([]byte, 0, 40), 'p'), p), kind)
}

func key64(p uint32, kind byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(key(p, kind), n)
}

func chunkKey(p uint32, block uint64, chunk int) []byte {
	return binary.BigEndian.AppendUint16(key64(p, kindChunk, block), uint16(chunk))
}

func tracePrefix(p uint32, id jaegermodel.TraceID) []byte {
	return append(key(p, kindTrace), id[:]...)
}

func operationPrefix(p uint32, service string) []byte {
	k := binary.AppendUvarint(key(p, kindOperation), uint64(len(service)))
	return append(k, service...)
}

func operationKey(p uint32, service, kind, name string) []byte {
	k := operationPrefix(p, service)
	k = append(binary.AppendUvarint(k, uint64(len(kind))), kind...)
	return append(k, name...)
}

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte{}, prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// A term is the hash of one thing that a span is searched by. Two things with
// one hash only cost a look at the span: what a search returns is compared.
type term = uint64

// Kinds of terms, so that no text of one makes another.
const (
	termService = iota
	termOperation
	termTag
	termDuration
	termOperationDuration
)

func serviceTerm(service string) term { return hashTerm(nil, termService, service) }

func operationTerm(service, op string) term { return hashTerm(nil, termOperation, service, op) }

func tagTerm(buf []byte, service, key, value string) (term, []byte) {
	buf = appendTerm(buf[:0], termTag, service, key, value)
	return xxhash.Sum64(buf), buf
}

// durationTerm is that of all durations with the same number of bits. op is ""
// for those of any operation.
func durationTerm(service, op string, bits int) term {
	if op == "" {
		return hashTerm(nil, termDuration, service, string(rune(bits)))
	}
	return hashTerm(nil, termOperationDuration, service, op, string(rune(bits)))
}

func hashTerm(buf []byte, kind byte, texts ...string) term {
	return xxhash.Sum64(appendTerm(buf, kind, texts...))
}

func appendTerm(buf []byte, kind byte, texts ...string) []byte {
	buf = append(buf, kind)
	for _, s := range texts {
		buf = append(binary.AppendUvarint(buf, uint64(len(s))), s...)
	}
	return buf
}
