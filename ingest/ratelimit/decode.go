package ratelimit

import (
	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// Bounds of a request. A proxy has a handful of descriptors; without bounds a
// small frame could ask for a hundred times its size in memory.
const (
	maxDescriptors = 1024
	maxEntries     = 4096 // of all descriptors
)

// request is a RateLimitRequest as it is read from a frame. It is reused; its
// strings alias the frame.
type request struct {
	mesh.LimitRequest
	hits    uint32 // hits_addend of the request; 0 if there is none
	entries int
	own     []bool // by descriptor: it has a hits_addend of its own
}

// Why a request is refused.
const (
	refusedMalformed = "malformed"
	refusedTooMany   = "too_many"
	refusedOverride  = "override"
	refusedInvalid   = "invalid"
	refusedTooLarge  = "too_large"
)

// decode reads the message b. It says why it is refused, "" if it is not. What
// the generated code accepts it accepts with the same result; invalid UTF-8 too.
func (r *request) decode(b []byte) (refused string) {
	r.Domain, r.hits, r.entries = "", 0, 0
	r.Descriptors = r.Descriptors[:0]
	r.own = r.own[:0]
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return refusedMalformed
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			r.Domain = wire.Lend(b[v:end])
		case 2<<3 | wire.Bytes:
			if refused := r.descriptor(b[v:end]); refused != "" {
				return refused
			}
		case 3<<3 | wire.Varint:
			r.hits = uint32(v)
		}
		i = end
	}
	// A descriptor's own addend may be 0; that of the request means 1 then.
	for i := range r.Descriptors {
		if !r.own[i] {
			r.Descriptors[i].Cost = uint64(max(r.hits, 1))
		}
	}
	return ""
}

// next returns a descriptor to fill, with what there was before cleared.
func (r *request) next() *mesh.Descriptor {
	n := len(r.Descriptors)
	if n < cap(r.Descriptors) {
		r.Descriptors = r.Descriptors[:n+1]
		d := &r.Descriptors[n]
		*d = mesh.Descriptor{Entries: d.Entries[:0]}
	} else {
		r.Descriptors = append(r.Descriptors, mesh.Descriptor{})
	}
	r.own = append(r.own, false)
	return &r.Descriptors[n]
}

// descriptor reads a RateLimitDescriptor.
func (r *request) descriptor(b []byte) (refused string) {
	if len(r.Descriptors) == maxDescriptors {
		return refusedTooMany
	}
	d := r.next()
	var o override
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return refusedMalformed
		}
		ok := true
		switch tag {
		case 1<<3 | wire.Bytes:
			if r.entries++; r.entries > maxEntries {
				return refusedTooMany
			}
			d.Entries = append(d.Entries, mesh.DescriptorEntry{})
			ok = entry(b[v:end], &d.Entries[len(d.Entries)-1])
		case 2<<3 | wire.Bytes:
			o.some = true
			ok = o.read(b[v:end])
		case 3<<3 | wire.Bytes: // a UInt64Value
			r.own[len(r.own)-1] = true
			ok = number(b[v:end], &d.Cost)
		case 4<<3 | wire.Varint:
			d.Refund = v != 0
		}
		if !ok {
			return refusedMalformed
		}
		i = end
	}
	if o.some && !o.limit(&d.Override) {
		return refusedOverride
	}
	return ""
}

func entry(b []byte, e *mesh.DescriptorEntry) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			e.Key = wire.Lend(b[v:end])
		case 2<<3 | wire.Bytes:
			e.Value = wire.Lend(b[v:end])
		}
		i = end
	}
	return true
}

// number merges a UInt32Value or UInt64Value.
func number(b []byte, n *uint64) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		if tag == 1<<3|wire.Varint {
			*n = v
		}
		i = end
	}
	return true
}

// override is a RateLimitOverride; several merge.
type override struct {
	some, multiplied bool
	requests         uint32
	unit             int32
	multiplier       uint64
}

func (o *override) read(b []byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Varint:
			o.requests = uint32(v)
		case 2<<3 | wire.Varint:
			o.unit = int32(v)
		case 3<<3 | wire.Bytes:
			o.multiplied = true
			if !number(b[v:end], &o.multiplier) {
				return false
			}
		}
		i = end
	}
	return true
}

// limit reports false if the unit is none that can be kept.
func (o *override) limit(l *mesh.LimitOverride) bool {
	if o.unit <= 0 || o.unit > int32(mesh.UnitWeek) || o.multiplied && uint32(o.multiplier) == 0 {
		return false
	}
	*l = mesh.LimitOverride{Requests: o.requests, Unit: mesh.LimitUnit(o.unit), Multiplier: uint32(o.multiplier)}
	return true
}

// trim lets go of what an unusual request has left.
func (r *request) trim() {
	if cap(r.Descriptors) > 64 || r.entries > 256 || cap(r.Scratch) > 64<<10 {
		*r = request{}
	}
}
