package als

import (
	"math/bits"
	"strconv"
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// measuredSlots are the tags named like labels that describe the request and not
// its ends.
const measuredSlots = slots(1)<<slot(mesh.LabelRequestProtocol) | 1<<slot(mesh.LabelResponseCode) |
	1<<slot(mesh.LabelGRPCResponseStatus) | 1<<slot(mesh.LabelResponseFlags)

// measured lets those tags set what they are named after; what cannot be read
// says nothing.
func (r *record) measured(e *mesh.Entry) {
	switch r.get(slot(mesh.LabelRequestProtocol)) {
	case "http":
		e.Protocol, e.GRPCStatus = mesh.ProtocolHTTP, mesh.NoGRPCStatus
	case "grpc":
		if e.Protocol != mesh.ProtocolGRPC {
			e.Protocol, e.GRPCStatus = mesh.ProtocolGRPC, inferredStatus(e.Code, e.Flags)
		}
	}
	if code, err := strconv.ParseUint(r.get(slot(mesh.LabelResponseCode)), 10, 10); err == nil {
		e.Code = uint32(code)
	}
	if status, ok := grpcStatus(r.get(slot(mesh.LabelGRPCResponseStatus))); ok && e.Protocol == mesh.ProtocolGRPC {
		e.GRPCStatus = status
	}
	if flags, ok := parseFlags(r.get(slot(mesh.LabelResponseFlags))); ok {
		e.Flags = flags
	}
}

// flagByCode maps Envoy's short codes to flags.
var flagByCode = func() map[string]mesh.Flags {
	m := make(map[string]mesh.Flags)
	for i := range bits.Len64(uint64(mesh.KnownFlags)) {
		f := mesh.Flags(1) << i
		m[f.String()] = f
	}
	return m
}()

// parseFlags reads short codes as Envoy's %RESPONSE_FLAGS% writes them.
func parseFlags(s string) (flags mesh.Flags, ok bool) {
	if s == "-" {
		return 0, true
	}
	for code := range strings.SplitSeq(s, ",") {
		f, known := flagByCode[code]
		if !known {
			return 0, false
		}
		flags |= f
	}
	return flags, true
}
