package jaegermodel

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
)

// Append appends a span's binary form, without its process: length-prefixed
// text, varints, in the order of the struct. Equal spans have equal bytes.
func (s *Span) Append(b []byte) []byte {
	b = append(b, s.TraceID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.SpanID))
	b = appendString(b, s.Operation)
	b = binary.AppendUvarint(b, uint64(len(s.Refs)))
	for _, r := range s.Refs {
		b = append(b, byte(r.Type))
		b = append(b, r.TraceID[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(r.SpanID))
	}
	b = binary.AppendUvarint(b, uint64(s.Flags))
	b = binary.AppendVarint(b, s.Start)
	b = binary.AppendVarint(b, s.Duration)
	b = appendTags(b, s.Tags)
	b = binary.AppendUvarint(b, uint64(len(s.Logs)))
	for i := range s.Logs {
		b = binary.AppendVarint(b, s.Logs[i].Time)
		b = appendTags(b, s.Logs[i].Fields)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Warnings)))
	for _, w := range s.Warnings {
		b = appendString(b, w)
	}
	return b
}

// Append appends a process' binary form.
func (p *Process) Append(b []byte) []byte {
	b = appendString(b, p.Service)
	return appendTags(b, p.Tags)
}

// Hash is a hash of all that is in the span, the same wherever and whenever the
// span is written: a retry overwrites what was written before.
func (s *Span) Hash(buf []byte) (hash uint64, scratch []byte) {
	buf = s.Process.Append(s.Append(buf[:0]))
	h := fnv.New64a()
	h.Write(buf)
	return h.Sum64(), buf
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTags(b []byte, kvs []KeyValue) []byte {
	b = binary.AppendUvarint(b, uint64(len(kvs)))
	for i := range kvs {
		kv := &kvs[i]
		b = append(appendString(b, kv.Key), byte(kv.Type))
		switch kv.Type {
		case String:
			b = appendString(b, kv.Str)
		case Binary:
			b = binary.AppendUvarint(b, uint64(len(kv.Bin)))
			b = append(b, kv.Bin...)
		default:
			b = binary.AppendUvarint(b, kv.Num)
		}
	}
	return b
}

// ErrCorrupt is what decoding says of bytes that no span has.
var ErrCorrupt = errors.New("jaegermodel: corrupt span")

// DecodeSpan reads what Append wrote and returns the rest of b. The span aliases
// nothing of b; its process is not set.
func DecodeSpan(b []byte) (*Span, []byte, error) {
	d := decoder{b: b}
	s := &Span{}
	d.fixed(s.TraceID[:])
	s.SpanID = d.spanID()
	s.Operation = d.str()
	if n := d.count(25); n > 0 {
		s.Refs = make([]Ref, n)
		for i := range s.Refs {
			s.Refs[i].Type = RefType(d.byte())
			d.fixed(s.Refs[i].TraceID[:])
			s.Refs[i].SpanID = d.spanID()
		}
	}
	s.Flags = uint32(d.uvarint())
	s.Start, s.Duration = d.varint(), d.varint()
	s.Tags = d.tags()
	if n := d.count(2); n > 0 {
		s.Logs = make([]Log, n)
		for i := range s.Logs {
			s.Logs[i].Time = d.varint()
			s.Logs[i].Fields = d.tags()
		}
	}
	if n := d.count(1); n > 0 {
		s.Warnings = make([]string, n)
		for i := range s.Warnings {
			s.Warnings[i] = d.str()
		}
	}
	if d.bad {
		return nil, nil, ErrCorrupt
	}
	return s, d.b, nil
}

// DecodeProcess reads what Process.Append wrote and returns the rest of b.
func DecodeProcess(b []byte) (*Process, []byte, error) {
	d := decoder{b: b}
	p := &Process{Service: d.str(), Tags: d.tags()}
	if d.bad {
		return nil, nil, ErrCorrupt
	}
	return p, d.b, nil
}

// decoder reads from b until something does not fit; then all it returns is 0.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() (c byte) {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c, d.b = d.b[0], d.b[1:]
	return c
}

func (d *decoder) spanID() SpanID {
	var b [8]byte
	d.fixed(b[:])
	return SpanID(binary.BigEndian.Uint64(b[:]))
}

func (d *decoder) fixed(dst []byte) {
	if len(d.b) < len(dst) {
		d.fail()
		return
	}
	d.b = d.b[copy(dst, d.b):]
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) str() string { return string(d.bytes()) }

// count reads a length of things of at least size bytes each, so that a lie
// does not allocate.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) tags() []KeyValue {
	n := d.count(3)
	if n == 0 {
		return nil
	}
	kvs := make([]KeyValue, n)
	for i := range kvs {
		kv := &kvs[i]
		kv.Key, kv.Type = d.str(), ValueType(d.byte())
		switch kv.Type {
		case String:
			kv.Str = d.str()
		case Binary:
			kv.Bin = append([]byte{}, d.bytes()...)
		case Bool, Int64, Float64:
			kv.Num = d.uvarint()
		default:
			d.fail()
		}
	}
	return kvs
}

func (d *decoder) fail() { d.b, d.bad = nil, true }
