package policy

import (
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
)

// outcome is a verdict with what is known about it for all requests that it
// answers.
type outcome struct {
	verdict *mesh.Verdict
	counter prometheus.Counter
	kept    bool // or was about to be: those who joined may have it too
}

func (m *metrics) outcome(e *entrypoint, v *mesh.Verdict) *outcome {
	return &outcome{verdict: v, counter: m.decisions.WithLabelValues(e.label, verdictName(v), m.rule(v.Rule))}
}

// size estimates the bytes of o. Half of it is for what the listener renders.
func (o *outcome) size() int {
	v := o.verdict
	n := len(v.Body) + len(v.Reason) + len(v.Rule) + sizeOf(v.Metadata)
	for i := range v.Quotas {
		q := &v.Quotas[i]
		n += int(unsafe.Sizeof(*q)) + len(q.Name) + len(q.Key)
	}
	n += len(v.QuotaDenial.Body)
	for _, list := range [][]mesh.Header{v.Headers, v.ResponseHeaders, v.QueryToSet, v.QuotaDenial.Headers} {
		for _, h := range list {
			n += int(unsafe.Sizeof(h)) + len(h.Name) + len(h.Value)
		}
	}
	for _, list := range [][]string{v.HeadersToRemove, v.QueryToRemove} {
		for _, s := range list {
			n += int(unsafe.Sizeof(s)) + len(s)
		}
	}
	return int(unsafe.Sizeof(*o)+unsafe.Sizeof(*v)) + 2*n
}

// sizeOf estimates what JSON-like values take, with the map's own share.
func sizeOf(v any) int {
	const word = 16
	switch v := v.(type) {
	case string:
		return word + len(v)
	case []any:
		n := 24
		for _, e := range v {
			n += sizeOf(e)
		}
		return n
	case map[string]any:
		n := 48
		for k, e := range v {
			n += 2*word + len(k) + sizeOf(e)
		}
		return n
	}
	return word
}
