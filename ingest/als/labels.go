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

// canonical returns the custom label values of a record.
func (s *labelSet) canonical(r *record, repaired *int) (c mesh.Custom) {
	if len(s.tags) == 0 {
		return c
	}
	var b strings.Builder
	for _, v := range r.custom {
		if v == "" {
			v = mesh.Unknown
		}
		b.WriteString(clean(v, repaired))
		b.WriteByte(0)
	}
	return unique.Make(b.String())
}
