package extauthz

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
)

// rendered is what a verdict comes to as a CheckResponse, but for the decision
// id.
type rendered struct {
	allowed bool
	head    []byte // status and http_response
	meta    []byte // fields of dynamic_metadata
	refused []string
	quotas  []quotaRendered // one for each of the verdict's
}

// Keys of the dynamic metadata that are ours.
const (
	metaDecisionID = "decision_id"
	metaRule       = "policy_rule"
	metaError      = "policy_error"
)

// Fields of envoy.service.auth.v3.CheckResponse and of what is in it.
const (
	responseStatus   = 1
	responseDenied   = 2
	responseOK       = 3
	responseMetadata = 4
	responseError    = 5

	okHeaders         = 2
	okHeadersToRemove = 5
	okResponseHeaders = 6
	okQueryToSet      = 7
	okQueryToRemove   = 8

	deniedStatus  = 1
	deniedHeaders = 2
	deniedBody    = 3
)

// defaultDenial is the HTTP status of a denial that names none.
const defaultDenial = 403

func knownStatus(code int) bool {
	_, ok := typev3.StatusCode_name[int32(code)]
	return ok && code != 0
}

// render makes a CheckResponse of a verdict. An allowance that cannot be carried
// out in full becomes a denial: without the header that a policy sets, the
// upstream would believe the one that the client sent. A denial stands, without
// what cannot be sent.
func render(v *mesh.Verdict, listener mesh.Listener) *rendered {
	r := &rendered{allowed: v.Allowed}
	r.meta = r.metadata(v)
	if listener == mesh.ListenerExtAuthzTCP {
		r.allowed = r.allowed && len(r.refused) == 0
		r.head = appendStatus(nil, r.allowed)
		r.quotas = renderQuotas(v.Quotas)
		return r
	}
	if r.allowed {
		body := r.ok(v)
		if r.allowed = len(r.refused) == 0; r.allowed {
			r.head = wire.AppendMessage(appendStatus(nil, true), responseOK, body)
			r.quotas = renderQuotas(v.Quotas)
			return r
		}
		v = &mesh.Verdict{}
	}
	r.head = wire.AppendMessage(appendStatus(nil, false), responseDenied, r.denied(v))
	return r
}

func appendStatus(b []byte, allowed bool) []byte {
	if allowed {
		return wire.AppendMessage(b, responseStatus, nil)
	}
	return wire.AppendMessage(b, responseStatus, wire.AppendVarint(nil, 1, uint64(codes.PermissionDenied)))
}

func (r *rendered) refuse(reason string) { r.refused = append(r.refused, reason) }

// ok returns an OkHttpResponse.
func (r *rendered) ok(v *mesh.Verdict) (b []byte) {
	var seen []string
	for _, h := range v.Headers {
		// The first value of a name takes the place of what the client sent.
		name := strings.ToLower(h.Name)
		b = r.header(b, okHeaders, h, slices.Contains(seen, name))
		seen = append(seen, name)
	}
	for _, name := range v.HeadersToRemove {
		if !validName(name) {
			r.refuse(refusedName)
			continue
		}
		b = wire.AppendString(b, okHeadersToRemove, name)
	}
	for _, h := range v.ResponseHeaders {
		b = r.header(b, okResponseHeaders, h, false)
	}
	for _, q := range v.QueryToSet {
		if !utf8.ValidString(q.Name) || !utf8.ValidString(q.Value) {
			r.refuse(refusedQuery)
			continue
		}
		b = wire.AppendMessage(b, okQueryToSet, appendPair(nil, q.Name, q.Value))
	}
	for _, name := range v.QueryToRemove {
		if !utf8.ValidString(name) {
			r.refuse(refusedQuery)
			continue
		}
		b = wire.AppendString(b, okQueryToRemove, name)
	}
	return b
}

// denied returns a DeniedHttpResponse.
func (r *rendered) denied(v *mesh.Verdict) []byte {
	b := wire.AppendMessage(nil, deniedStatus, wire.AppendVarint(nil, 1, uint64(r.status(v))))
	for _, h := range v.Headers {
		b = r.header(b, deniedHeaders, h, false)
	}
	if v.Body != "" {
		b = wire.AppendString(b, deniedBody, strings.ToValidUTF8(v.Body, "\uFFFD"))
	}
	return b
}

func (r *rendered) status(v *mesh.Verdict) int {
	if v.Status == 0 {
		return defaultDenial
	}
	if !knownStatus(v.Status) {
		r.refuse(refusedStatus)
		return defaultDenial
	}
	return v.Status
}

// header appends a HeaderValueOption.
func (r *rendered) header(b []byte, field protowire.Number, h mesh.Header, more bool) []byte {
	if p := headerProblem(h); p != "" {
		r.refuse(p)
		return b
	}
	option := wire.AppendMessage(nil, 1, appendPair(nil, h.Name, h.Value))
	if more { // append: a BoolValue
		option = wire.AppendMessage(option, 2, wire.AppendVarint(nil, 1, 1))
	}
	return wire.AppendMessage(b, field, option)
}

// metadata returns the fields of a Struct.
func (r *rendered) metadata(v *mesh.Verdict) (b []byte) {
	names := make([]string, 0, len(v.Metadata))
	for name := range v.Metadata {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == metaDecisionID {
			continue
		}
		value, err := structpbValue(v.Metadata[name], 0)
		if err != nil || !utf8.ValidString(name) {
			r.refuse(refusedMetadata)
			continue
		}
		b = appendMetadata(b, name, value)
	}
	if _, ok := v.Metadata[metaRule]; !ok && v.Rule != "" {
		b = appendMetadata(b, metaRule, stringValue(v.Rule))
	}
	return b
}

func appendMetadata(b []byte, name string, value []byte) []byte {
	return wire.AppendMessage(b, 1, wire.AppendMessage(wire.AppendString(nil, 1, name), 2, value))
}

func stringValue(s string) []byte { return wire.AppendString(nil, 3, strings.ToValidUTF8(s, "\uFFFD")) }

// structpbValue returns a google.protobuf.Value.
func structpbValue(x any, depth int) ([]byte, error) {
	if depth > 100 {
		return nil, fmt.Errorf("more than %d levels", depth-1)
	}
	switch x := x.(type) {
	case nil:
		return wire.AppendVarint(nil, 1, 0), nil
	case bool:
		return wire.AppendVarint(nil, 4, protowire.EncodeBool(x)), nil
	case int:
		return numberValue(float64(x))
	case int64:
		return numberValue(float64(x))
	case float64:
		return numberValue(x)
	case json.Number:
		f, err := x.Float64()
		if err != nil {
			return nil, err
		}
		return numberValue(f)
	case string:
		return stringValue(x), nil
	case []any:
		var list []byte
		for _, e := range x {
			v, err := structpbValue(e, depth+1)
			if err != nil {
				return nil, err
			}
			list = wire.AppendMessage(list, 1, v)
		}
		return wire.AppendMessage(nil, 6, list), nil
	case map[string]any:
		names := make([]string, 0, len(x))
		for name := range x {
			names = append(names, name)
		}
		slices.Sort(names)
		var fields []byte
		for _, name := range names {
			v, err := structpbValue(x[name], depth+1)
			if err != nil {
				return nil, err
			}
			fields = appendMetadata(fields, strings.ToValidUTF8(name, "\uFFFD"), v)
		}
		return wire.AppendMessage(nil, 5, fields), nil
	}
	return nil, fmt.Errorf("%T is not of JSON", x)
}

func numberValue(f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%v is not of JSON", f)
	}
	return protowire.AppendFixed64(protowire.AppendTag(nil, 2, protowire.Fixed64Type), math.Float64bits(f)), nil
}

// response returns the CheckResponse with a decision id.
func (r *rendered) response(id string) []byte { return r.responseWith(id, nil, nil) }

// responseWith adds to the OkHttpResponse, and to the fields of dynamic_metadata. A
// message that comes twice is merged: only what is new is written.
func (r *rendered) responseWith(id string, ok, meta []byte) []byte {
	value := wire.FieldSize(len(id))
	pair := wire.FieldSize(len(metaDecisionID)) + wire.FieldSize(value)
	entry := wire.FieldSize(pair)
	all := len(r.meta) + len(meta) + entry
	size := len(r.head) + wire.FieldSize(all)
	if len(ok) > 0 {
		size += wire.FieldSize(len(ok))
	}
	b := make([]byte, 0, size)
	b = append(b, r.head...)
	if len(ok) > 0 {
		b = wire.AppendMessage(b, responseOK, ok)
	}
	b = wire.AppendHead(b, responseMetadata, all)
	b = append(b, r.meta...)
	b = append(b, meta...)
	b = wire.AppendHead(b, 1, pair)
	b = wire.AppendString(b, 1, metaDecisionID)
	b = wire.AppendHead(b, 2, value)
	return wire.AppendString(b, 3, id)
}

// appendPair appends the fields of a HeaderValue, a QueryParameter or an entry
// of a map of strings.
func appendPair(b []byte, name, value string) []byte {
	b = wire.AppendString(b, 1, name)
	if value != "" {
		b = wire.AppendString(b, 2, value)
	}
	return b
}
