package als

import (
	"cmp"
	"slices"
	"time"
)

// Connection is one proxy that streams its access logs to us.
type Connection struct {
	Node        string    `json:"node"`
	Role        string    `json:"role"` // proxy, sidecar, router or waypoint
	Workload    string    `json:"workload"`
	Namespace   string    `json:"namespace"`
	Version     string    `json:"version,omitempty"`   // Istio's
	Remote      string    `json:"remote"`              // IP address
	Principal   string    `json:"principal,omitempty"` // of its client certificate
	Mismatch    bool      `json:"mismatch,omitempty"`  // its node identifier contradicts the certificate
	Logs        []string  `json:"logs"`                // names of its logs
	Streams     int       `json:"streams"`
	Entries     uint64    `json:"entries"` // counted, since the streams were opened
	Skipped     uint64    `json:"skipped"`
	Dropped     uint64    `json:"dropped"`
	Since       time.Time `json:"since"`
	LastMessage time.Time `json:"last_message"`
	Missing     []Missing `json:"missing,omitempty"`
}

// Missing is something that a proxy does not tell.
type Missing struct {
	What  string  `json:"what"`
	Why   string  `json:"why"`
	Share float64 `json:"share"` // of the entries looked at, 0 to 1
	YAML  string  `json:"yaml,omitempty"`
}

// missingShare is the share of entries from which on something is said to be
// missing: single entries lack things for good reasons.
const missingShare = 0.1

// Connections describes the proxies that are connected, by node. What is missing
// is judged by one entry of each message.
func (s *Server) Connections() []Connection {
	type key struct{ node, remote, principal string }
	type state struct {
		c       Connection
		sampled uint64
		missing [numMissing]uint64
	}
	found := make(map[key]*state)
	s.mu.Lock()
	streams := make([]*stream, 0, len(s.streams))
	for st := range s.streams {
		streams = append(streams, st)
	}
	s.mu.Unlock()
	for _, st := range streams {
		st.mu.Lock()
		id := st.id
		st.mu.Unlock()
		remote := ""
		if id.remote.IsValid() {
			remote = id.remote.String()
		}
		k := key{id.node.id, remote, id.principal}
		x := found[k]
		if x == nil {
			x = &state{c: Connection{
				Node: id.node.id, Role: id.node.role.String(),
				Workload: id.own.Name, Namespace: id.own.Namespace, Version: id.node.version,
				Remote: remote, Principal: id.principal, Mismatch: id.mismatch, Since: st.opened,
			}}
			found[k] = x
		}
		c := &x.c
		c.Streams++
		c.Logs = append(c.Logs, id.node.logName)
		c.Entries += st.stats.entries.Load()
		c.Skipped += st.stats.skipped.Load()
		c.Dropped += st.stats.dropped.Load()
		if st.opened.Before(c.Since) {
			c.Since = st.opened
		}
		if last := time.Unix(0, st.stats.last.Load()); last.After(c.LastMessage) {
			c.LastMessage = last
		}
		sampled := st.stats.sampled.Load()
		x.sampled += sampled
		for i := range st.stats.missing {
			x.missing[i] += st.stats.missing[i].Load()
		}
		if !id.node.hasMetadata && (id.node.cluster == "" || id.own.Namespace == "") {
			x.missing[0] += sampled
		}
	}
	out := make([]Connection, 0, len(found))
	for _, x := range found {
		for i, n := range x.missing {
			if share := float64(n) / float64(max(x.sampled, 1)); share >= missingShare {
				x.c.Missing = append(x.c.Missing, Missing{advices[i].what, advices[i].why, share, advices[i].yaml})
			}
		}
		slices.Sort(x.c.Logs)
		x.c.Logs = slices.Compact(x.c.Logs)
		out = append(out, x.c)
	}
	slices.SortFunc(out, func(a, b Connection) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Remote, b.Remote), cmp.Compare(a.Principal, b.Principal))
	})
	return out
}
