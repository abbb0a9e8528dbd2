package fleet

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"

	"github.com/tallygate/tallygate/internal/tap"
)

// Entry is one request as its proxy reported it.
type Entry struct {
	tap.Entry
	TraceURL string `json:"trace_url,omitempty"` // by admin.trace_url
	// Decision is the decision log's record of the request, without what is
	// masked; in the answer of /api/v1/entries/{id} only, and only as long as
	// some replica remembers it.
	Decision json.RawMessage `json:"decision,omitempty"`
}

// Entries is the answer of /api/v1/errors.
type Entries struct {
	Replicas []Replica `json:"replicas"`
	Entries  []Entry   `json:"entries"` // the newest first
}

// Line is a line of the stream /api/v1/tap: an entry, or that some were missed,
// or, so that a silent stream is known to live, neither.
type Line struct {
	Entry   *Entry `json:"entry,omitempty"`
	Replica string `json:"replica"`
	Missed  uint64 `json:"missed,omitempty"` // entries since the beginning that passed the filter and are not here
}

// maxEntries is how many entries an answer holds at most.
const maxEntries = 200

// MergeEntries makes one list of several.
func MergeEntries(parts []Entries) Entries {
	out := Entries{Entries: []Entry{}, Replicas: []Replica{}}
	for _, p := range parts {
		out.Replicas = append(out.Replicas, p.Replicas...)
		out.Entries = append(out.Entries, p.Entries...)
	}
	slices.SortStableFunc(out.Entries, func(a, b Entry) int { return b.Time.Compare(a.Time) })
	out.Entries = out.Entries[:min(len(out.Entries), maxEntries)]
	return out
}

// AskEntries returns the last failures and denials of all sources that pass the
// filter in query.
func AskEntries(ctx context.Context, sources []Source, query url.Values) (Entries, error) {
	parts, silent := Ask[Entries](ctx, sources, "/api/v1/errors", query)
	e := MergeEntries(distinct(parts, func(e *Entries) []Replica { return e.Replicas }))
	e.Replicas = MergeReplicas(append(e.Replicas, silent...))
	return e, errorOf(len(parts), silent)
}

// Filter is the query for the entries of an edge.
func (e *Edge) Filter() url.Values {
	q := url.Values{}
	side := func(key, name, namespace string) {
		if namespace != "" {
			name += "." + namespace
		}
		q.Set(key, name)
	}
	side("from", e.Source, e.SourceNamespace)
	side("to", e.Destination, e.DestinationNamespace)
	q.Set("service", e.Service)
	return q
}
