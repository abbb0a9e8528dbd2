package extauthz

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/ingest/wire"
	"google.golang.org/protobuf/encoding/protowire"
)

// appendCheckRequest writes the CheckRequest that Envoy would send of a request,
// so that there is one lens for both.
func (f *Forward) appendCheckRequest(b []byte, now time.Time, r *http.Request, o *original, body []byte, partial bool) []byte {
	request := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(now.Unix()))
	request = wire.AppendVarint(request, 2, uint64(now.Nanosecond()))
	request = wire.AppendMessage(nil, 1, request)
	request = wire.AppendMessage(request, 2, appendHTTP(nil, f.cfg.Mode, r, o, body, partial))

	attributes := wire.AppendMessage(nil, 1, f.appendSource(nil, r, o))
	attributes = wire.AppendMessage(attributes, 4, request)
	attributes = append(attributes, f.extensions...)
	return wire.AppendMessage(b, 1, attributes)
}

func (f *Forward) appendSource(b []byte, r *http.Request, o *original) []byte {
	if o.client.IsValid() || o.client.Addr().IsValid() {
		socket := wire.AppendString(nil, 2, o.client.Addr().Unmap().String())
		if o.client.Port() != 0 {
			socket = wire.AppendVarint(socket, 3, uint64(o.client.Port()))
		}
		b = wire.AppendMessage(b, 1, wire.AppendMessage(nil, 1, socket))
	}
	principal := principalOf(r)
	if principal == "" {
		principal = f.cfg.Principal
	}
	return wire.AppendString(b, 4, valid(principal))
}

const headerPartial = "X-Envoy-Auth-Partial-Body"

func appendHTTP(b []byte, mode Mode, r *http.Request, o *original, body []byte, partial bool) []byte {
	header := func(name, value string) {
		b = wire.AppendMessage(b, 3, appendPair(nil, valid(name), valid(value)))
	}
	b = wire.AppendString(b, 2, o.method)
	for name, values := range r.Header {
		// Whether the body is whole only Envoy can know better than we do.
		if slices.Contains(o.read, name) || name == "Connection" || name == headerPartial && mode != ModeEnvoy {
			continue
		}
		separator := ","
		if name == "Cookie" {
			separator = "; "
		}
		header(strings.ToLower(name), strings.Join(values, separator))
	}
	if r.ContentLength > 0 {
		header("content-length", formatInt(r.ContentLength))
	}
	if partial {
		header(strings.ToLower(headerPartial), "true")
	}
	header(":authority", o.host)
	header(":method", o.method)
	header(":path", o.path)
	header(":scheme", o.scheme)
	b = wire.AppendString(b, 4, valid(o.path))
	b = wire.AppendString(b, 5, valid(o.host))
	b = wire.AppendString(b, 6, valid(o.scheme))
	b = wire.AppendVarint(b, 9, uint64(r.ContentLength))
	b = wire.AppendString(b, 10, valid(r.Proto))
	return wire.AppendMessage(b, 12, body)
}

// valid replaces what is not UTF-8 as Envoy does.
func valid(s string) string { return strings.ToValidUTF8(s, "!") }
