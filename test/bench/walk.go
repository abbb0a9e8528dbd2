package main

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

var errWire = errors.New("malformed message")

// fields calls f for each field of a message; varints come as v, the others as b.
func fields(m []byte, f func(num protowire.Number, v uint64, b []byte) error) error {
	for len(m) > 0 {
		num, typ, n := protowire.ConsumeTag(m)
		if n < 0 {
			return errWire
		}
		m = m[n:]
		var v uint64
		var b []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(m)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(m)
		default:
			n = protowire.ConsumeFieldValue(num, typ, m)
		}
		if n < 0 {
			return errWire
		}
		m = m[n:]
		if err := f(num, v, b); err != nil {
			return err
		}
	}
	return nil
}

// walk reads the tag and length of every field of every entry, down to the
// properties, takes the duration, and leaves the rest where it is.
func (r *reference) walk(b []byte) error {
	return fields(b, func(num protowire.Number, _ uint64, logs []byte) error {
		if num != 2 && num != 3 { // http_logs, tcp_logs
			return nil
		}
		return fields(logs, func(_ protowire.Number, _ uint64, entry []byte) error { return r.walkEntry(entry) })
	})
}

func (r *reference) walkEntry(entry []byte) error {
	var seconds, nanos uint64
	err := fields(entry, func(num protowire.Number, _ uint64, properties []byte) error {
		common := num == 1
		return fields(properties, func(num protowire.Number, _ uint64, b []byte) error {
			if !common || num != 23 { // duration
				return nil
			}
			return fields(b, func(num protowire.Number, v uint64, _ []byte) error {
				if num == 1 {
					seconds = v
				} else {
					nanos = v
				}
				return nil
			})
		})
	})
	r.count(float64(seconds)*1e3 + float64(nanos)/1e6)
	return err
}
