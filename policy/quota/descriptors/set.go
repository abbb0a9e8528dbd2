package descriptors

import (
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// Set is the limits of all domains. It is immutable. The zero Set has none.
type Set struct {
	domains  map[string]*domain
	rules    []*mesh.LimitRule
	warnings []string
}

// domain is the limits of one domain.
type domain struct {
	node
	name     string
	override *mesh.LimitRule // what descriptors that bring their limit are counted as
}

// node is a place in the tree of descriptors: what may come after a run of
// entries.
type node struct {
	values map[mesh.DescriptorEntry]*node // key and value
	wild   []wildcard                     // in the order of the file: the first that matches wins
	keys   map[string]*node               // key alone

	rule     *mesh.LimitRule // nil if there is no limit here
	shadow   bool
	pattern  string // of share_threshold: the value that all matching ones are counted as
	detailed bool   // detailed_metric
	toMetric bool   // value_to_metric
	dynamic  bool   // the metric of the rule depends on values
	line     int    // where it stands, to say so of duplicates
	file     string
}

// wildcard is a descriptor whose value ends in an asterisk.
type wildcard struct {
	key, prefix string
	anyKey      bool // the key itself ended in the asterisk, and there is no value
	node        *node
}

func (w *wildcard) matches(e *mesh.DescriptorEntry) bool {
	if w.anyKey {
		return strings.HasPrefix(e.Key, w.prefix)
	}
	return e.Key == w.key && strings.HasPrefix(e.Value, w.prefix)
}

// how says by which kind of place an entry was matched.
type how uint8

const (
	byValue how = iota
	byWildcard
	byKey
)

// next returns the place for an entry: the most specific there is. Nothing is
// tried again when a place leads nowhere.
func (n *node) next(e *mesh.DescriptorEntry) (*node, how) {
	if e.Value != "" {
		if c, ok := n.values[*e]; ok {
			return c, byValue
		}
	}
	for i := range n.wild {
		if n.wild[i].matches(e) {
			return n.wild[i].node, byWildcard
		}
	}
	return n.keys[e.Key], byKey
}

// Domains returns how many domains there are.
func (s *Set) Domains() int { return len(s.domains) }

// Rules returns all limits, in the order of the files.
func (s *Set) Rules() []*mesh.LimitRule { return s.rules }

// Warnings says what is probably not meant.
func (s *Set) Warnings() []string { return s.warnings }
