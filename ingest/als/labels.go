package als

import (
	"strings"
	"unique"

	"github.com/tallygate/tallygate/mesh"
)

// labelSet is the configured custom labels: one immutable set between two
// reloads.
type labelSet struct {
	n        int           // how many
	tags     []tagKey      // of those that are custom tags
	metadata []metadataKey // of those that are dynamic metadata
}

// tagKey is the custom tag that has the value of a label.
type tagKey struct {
	label int
	name  string
}

// metadataKey is where the dynamic metadata has the value of a label.
type metadataKey struct {
	label       int
	filter, key string
}

func newLabelSet(labels []mesh.CustomLabel) *labelSet {
	s := &labelSet{n: len(labels)}
	for i, l := range labels {
		if l.Metadata != "" {
			filter, key, _ := strings.Cut(l.Metadata, ":")
			s.metadata = append(s.metadata, metadataKey{i, filter, key})
			continue
		}
		name := l.Tag
		if name == "" {
			name = l.Name
		}
		s.tags = append(s.tags, tagKey{i, name})
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
