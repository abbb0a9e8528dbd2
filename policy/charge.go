package policy

import (
	"context"

	"github.com/tallygate/tallygate/mesh"
)

// charge charges the quotas of an allowing verdict, whether the cache had it or
// not. It writes the charge of d.
func (d *Decider) charge(ctx context.Context, q *mesh.Query, v *mesh.Verdict, to *mesh.Decision) error {
	if d.quotas == nil {
		return ErrQuotas
	}
	room := q.Charges[:0]
	if n := len(v.Quotas); cap(room) < n {
		room = make([]mesh.QuotaResult, n, max(n, 4))
	}
	to.Charges = room[:len(v.Quotas)]
	to.Charge = d.quotas.Charge(ctx, v.Quotas, to.Charges, mesh.ChargeAll)
	if to.Charge.Over {
		d.m.overQuota.Inc()
	}
	return nil
}

// setQuotas notes which quota refused, and which would have.
func (e *entry) setQuotas(d *mesh.Decision) {
	if q, r := d.Strictest(); r != nil && r.Over {
		e.quota = q.Name
	}
	for i := range d.Charges {
		if d.Charges[i].Over && d.Quotas[i].Shadow {
			e.watched = d.Quotas[i].Name
			return
		}
	}
}
