//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/fleet"
	"github.com/tallygate/tallygate/test/testbed"
)

// Replicas share one limit through a real Redis, whatever happens to them and to
// it.
//
//	clients ─5 × limit─▶ tallygate × 3 ─leases─▶ redis
func TestQuotaFleet(t *testing.T) {
	for _, c := range fleet.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			bed, err := testbed.New(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := bed.Close(); err != nil {
					t.Error(err)
				}
			}()
			r, err := fleet.Run(t.Context(), bed, c, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d asked, %d admitted: %.1f %% of the limit; at most %.0f beyond the rate, %.0f are promised",
				r.Asked, r.Admitted, 100*r.Share, r.Excess, r.Promised)
			if !r.Kept() {
				t.Errorf("%.0f were admitted beyond the rate in some interval; want %.0f at most", r.Excess, r.Promised)
			}
			if r.Share < c.Least {
				t.Errorf("%.1f %% of the limit were admitted; want %.0f %%", 100*r.Share, 100*c.Least)
			}
		})
	}
}
