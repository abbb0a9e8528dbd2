package fleet

import (
	"encoding/json"
	"time"
)

// Policies is the answer of /api/v1/policy: that of each replica by itself, since
// they may differ while a bundle spreads.
type Policies struct {
	Replicas []Replica `json:"replicas"`
	Policies []Policy  `json:"policies"`
}

// Policy is what a replica knows of its policies.
type Policy struct {
	Replica  string          `json:"replica"`
	Sources  []PolicySource  `json:"sources"`
	Decider  json.RawMessage `json:"decider"`            // policy.State
	Shadowed json.RawMessage `json:"shadowed,omitempty"` // the last policy.Difference
}

// PolicySource is the enforced policy or the candidate, and where it comes from.
type PolicySource struct {
	Name     string    `json:"name"` // enforced, shadow
	Paths    []string  `json:"paths,omitempty"`
	Bundles  bool      `json:"bundles,omitempty"` // by an OPA configuration
	Revision string    `json:"revision,omitempty"`
	Loaded   time.Time `json:"loaded"`
	Files    []string  `json:"files,omitempty"`
	Error    string    `json:"error,omitempty"` // why the latest change is not in use
	Waiting  bool      `json:"waiting,omitempty"`
}

// MergePolicies makes one list of several.
func MergePolicies(parts []Policies) Policies {
	out := Policies{Replicas: []Replica{}, Policies: []Policy{}}
	for _, p := range distinct(parts, func(p *Policies) []Replica { return p.Replicas }) {
		out.Replicas = append(out.Replicas, p.Replicas...)
		out.Policies = append(out.Policies, p.Policies...)
	}
	return out
}
