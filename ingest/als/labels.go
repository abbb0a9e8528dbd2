package als

import (
	"strings"
	"unique"

	"github.com/tallygate/tallygate/mesh"
)

// labelSet is the configured custom labels: one immutable set between two
// reloads.
type labelSet struct{ tags []string }

func newLabelSet(labels []mesh.CustomLabel) *labelSet {
	s := &labelSet{tags: make([]string, len(labels))}
	for i, l := range labels {
		s.tags[i] = l.Tag
		if l.Tag == "" {
			s.tags[i] = l.Name
		}
	}
	return s
}

// customValues is the values of the custom labels.
type customValues struct {
	values   mesh.Custom
	repaired bool
}

// canonical returns the custom label values of a record.
func (s *labelSet) canonical(r *record) (c customValues) {
	var b strings.Builder
	var repaired int
	for _, v := range r.custom {
		if v == "" {
			v = mesh.Unknown
		}
		b.WriteString(valid(v, &repaired))
		b.WriteByte(0)
	}
	return customValues{unique.Make(b.String()), repaired > 0}
}

func (r *record) appendCustom(key []byte) []byte {
	for _, v := range r.custom {
		key = appendPiece(key, 0, v)
	}
	return key
}
