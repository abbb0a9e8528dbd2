package main

import (
	"fmt"
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// quotaShown is a quota as policy eval prints it: as the policy wrote it.
type quotaShown struct {
	Name      string `json:"name"`
	Key       string `json:"key"`
	Limit     uint64 `json:"limit"`
	Per       string `json:"per"`
	Burst     uint64 `json:"burst,omitempty"`
	Cost      uint64 `json:"cost"`
	Algorithm string `json:"algorithm"`
	OnError   string `json:"on_error,omitempty"`
	Sync      bool   `json:"sync,omitempty"`
	Shadow    bool   `json:"shadow,omitempty"`
}

func showQuota(q *mesh.Quota) quotaShown {
	return quotaShown{
		Name: q.Name, Key: q.Key, Limit: q.Limit, Per: q.Per.String(), Burst: q.Burst, Cost: q.Cost,
		Algorithm: q.Algorithm.String(), OnError: q.OnError.String(), Sync: q.Sync, Shadow: q.Shadow,
	}
}

// String says it in a line.
func (q quotaShown) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s for %q: %d per %s", q.Name, q.Key, q.Limit, q.Per)
	if q.Burst > 0 {
		fmt.Fprintf(&b, ", burst %d", q.Burst)
	}
	fmt.Fprintf(&b, ", this request costs %d", q.Cost)
	for _, word := range []struct {
		on   bool
		text string
	}{
		{q.Algorithm != mesh.GCRA.String(), q.Algorithm},
		{q.OnError != "", "on error " + q.OnError},
		{q.Sync, "sync"},
		{q.Shadow, "shadow"},
	} {
		if word.on {
			b.WriteString(", " + word.text)
		}
	}
	return b.String()
}
