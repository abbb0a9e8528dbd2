package ratelimit

import (
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// metadata returns the fields of a Struct in the shape that envoyproxy/ratelimit
// gives to dynamic metadata: domain, descriptors, hitsAddend, quotaModeEnabled,
// quotaModeViolations.
func metadata(r *request, statuses []status) []byte {
	b := appendField(nil, "domain", stringValue(r.Domain))
	var list []byte
	for i := range r.Descriptors {
		list = wire.AppendMessage(list, 1, structValue(descriptorFields(&r.Descriptors[i], r.own[i])))
	}
	b = appendField(b, "descriptors", wire.AppendMessage(nil, 6, list))
	if r.hits != 0 {
		b = appendField(b, "hitsAddend", numberValue(float64(r.hits)))
	}
	var violations []byte
	enabled := uint64(0)
	for i := range statuses {
		if statuses[i].violation {
			violations = wire.AppendMessage(violations, 1, numberValue(float64(i)))
		}
		if m := &r.Matches[i]; m.Rule != nil && m.Rule.QuotaMode && m.Charge {
			enabled = 1
		}
	}
	if violations != nil {
		b = appendField(b, "quotaModeViolations", wire.AppendMessage(nil, 6, violations))
	}
	return appendField(b, "quotaModeEnabled", wire.AppendVarint(nil, 4, enabled))
}

func descriptorFields(d *mesh.Descriptor, own bool) []byte {
	var list []byte
	for i := range d.Entries {
		list = wire.AppendMessage(list, 1, stringValue(d.Entries[i].Key+"="+d.Entries[i].Value))
	}
	b := appendField(nil, "entries", wire.AppendMessage(nil, 6, list))
	if o := &d.Override; o.Unit != mesh.UnitUnknown {
		b = appendField(b, "limit", stringValue(fmt.Sprintf("requests_per_unit:%d unit:%s", o.Requests, strings.ToUpper(o.Unit.String()))))
	}
	if own {
		b = appendField(b, "hitsAddend", numberValue(float64(d.Cost)))
	}
	return b
}

// appendField appends a field of a Struct.
func appendField(b []byte, name string, value []byte) []byte {
	return wire.AppendMessage(b, 1, wire.AppendMessage(wire.AppendString(nil, 1, name), 2, value))
}

func stringValue(s string) []byte {
	return wire.AppendString(nil, 3, strings.ToValidUTF8(s, "\uFFFD"))
}

func structValue(fields []byte) []byte { return wire.AppendMessage(nil, 5, fields) }

func numberValue(f float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, 2, protowire.Fixed64Type), math.Float64bits(f))
}
