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
}
