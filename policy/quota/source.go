package quota

import (
	"context"

	"github.com/tallygate/tallygate/mesh"
)

// source keeps the states of quotas. charge writes a result for each quota and
// reports whether it took from them: in mode all, none is taken from once one
// that is no shadow refuses.
type source interface {
	charge(ctx context.Context, now int64, quotas []mesh.Quota, results []mesh.QuotaResult, mode mesh.ChargeMode) (taken bool)
	// scan calls f with every key that is known here and not idle. f must neither
	// keep it nor charge.
	scan(now int64, f func(*slot))
	// find returns the state of a key, an idle one if it has none, and what is held
	// of it ahead.
	find(now int64, f *found) (slot, *Lease, error)
	// reset makes a key full and reports whether it was not.
	reset(now int64, f *found) (bool, error)
	// String says where is counted.
	String() string
}
