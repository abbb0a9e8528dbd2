package boards

import "github.com/tallygate/tallygate/dashboards/board"

// All returns every board, in the order in which one looks at them.
func All() []*board.Board {
	return []*board.Board{Mesh(), Service(), Workload(), Edge(), Policy(), Quotas(), Traces(), Tallygate()}
}
