package red

import (
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// Series is the immutable part of a series: its identity. One that expired and
// came back is another Series.
type Series struct {
	// ID is unique in the process: what is rendered of a Series may be kept by
	// its ID.
	ID      uint64
	Created time.Time

	schema *schema
	key    key
}

// schema is what the label sets of a view have in common.
type schema struct {
	labels []labelID
	names  []string
	set    labelSet
}

func newSchema(set labelSet, custom []mesh.CustomLabel) *schema {
	s := &schema{set: set}
	set.each(func(l labelID) {
		s.labels = append(s.labels, l)
		s.names = append(s.names, labelName(l, custom))
	})
	return s
}

// AppendValues appends the label values in the order of View.Labels.
func (s *Series) AppendValues(dst []string) []string {
	for _, l := range s.schema.labels {
		dst = append(dst, labelValue(&s.key, l))
	}
	return dst
}

// series is a Series and its figures, under the lock of its shard.
type series struct {
	Series
	hash     uint64
	pos      int   // in shard.list
	seen     int64 // nanoseconds since 1970 of the last entry
	overflow bool

	// values holds, by the offsets of the view's takes, first the counters and
	// the sums of the histograms, then the buckets.
	values    []uint64
	native    []Native
	exemplars []Exemplar // nil until a sampled request was counted
}
