package policy

import (
	"fmt"
	"sync"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// generation is one activation of rules. No decision outlives it.
type generation struct {
	id       uint64 // never used again
	rules    Rules
	revision string
	since    time.Time

	entrypoints sync.Map // name → *entrypoint, those that were asked for
}

// entrypoint is what is known of one before any request.
type entrypoint struct {
	name  string
	label string // for metrics and the log: the default one has a name there
	shape Shape
	heads [mesh.NumListeners][]byte // beginning of the keys, by kind of listener
}

// defaultLabel is the default entrypoint in metrics and the decision log.
const defaultLabel = "default"

func (g *generation) entrypoint(name string) (*entrypoint, error) {
	if e, ok := g.entrypoints.Load(name); ok {
		return e.(*entrypoint), nil
	}
	shape, err := g.rules.Shape(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrUnknown, name, err)
	}
	name = string([]byte(name)) // it may be lent
	e := &entrypoint{name: name, label: name, shape: shape}
	if name == "" {
		e.label = defaultLabel
	}
	for l := range e.heads {
		e.heads[l] = appendKeyHead(nil, g.id, mesh.Listener(l), name)
	}
	actual, _ := g.entrypoints.LoadOrStore(name, e)
	return actual.(*entrypoint), nil
}
