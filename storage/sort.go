package storage

import (
	"cmp"
	"slices"

	"github.com/tallygate/tallygate/jaegermodel"
)

// SortSpans puts spans in the order in which a trace is returned.
func SortSpans(spans []*jaegermodel.Span) {
	slices.SortStableFunc(spans, func(a, b *jaegermodel.Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.SpanID, b.SpanID))
	})
}

// SortOperations sorts by name and kind.
func SortOperations(ops []Operation) {
	slices.SortFunc(ops, func(a, b Operation) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
}
