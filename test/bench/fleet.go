package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tallygate/tallygate/test/fleet"
	"github.com/tallygate/tallygate/test/testbed"
)

// measureFleet plays the cases of replicas that share a limit, at length.
func measureFleet(ctx context.Context, o options, r *report) error {
	d, cases := time.Minute, fleet.Cases()
	if o.quick {
		d, cases = 5*time.Second, cases[:2]
	}
	r.section("Fleets", fmt.Sprintf(
		"Three replicas and a real Redis for %.0f s, offered five times the limit of %d/s for each key (burst %d), `on_error: deny`; a disturbance comes after a third of the time. "+
			"The limit is that of all keys together, beside bursts. Beyond the rate: the most that any key was admitted in any interval T, less rate × T; "+
			"promised are the burst, that of each lost state, and what the rate brings in `lease_max_age` and in the 150 ms that the clients cannot tell.",
		d.Seconds(), fleet.Limit, fleet.Limit))
	t := r.table("case", "asked", "admitted", "of the limit", "beyond the rate", "promised")
	worst := 0.0
	for _, c := range cases {
		res, err := playFleet(ctx, o, c, d)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		progress("%-36s %.1f %% of the limit, %.0f beyond the rate of %.0f", c.Name, 100*res.Share, res.Excess, res.Promised)
		t.row(c.Name, thousands(float64(res.Asked)), thousands(float64(res.Admitted)), fmt.Sprintf("%.1f %%", 100*res.Share),
			fmt.Sprintf("%.0f", res.Excess), fmt.Sprintf("%.0f", res.Promised))
		worst = max(worst, res.Excess/res.Promised)
		if c.Disturb == nil {
			r.target("admitted by three replicas to the limit, "+c.Name, res.Share, atLeast, c.Least, "%.3f")
		}
	}
	r.target("admitted beyond the rate to what is promised, the worst fleet", worst, atMost, 1, "%.2f")
	return nil
}

func playFleet(ctx context.Context, o options, c fleet.Case, d time.Duration) (res fleet.Result, err error) {
	dir, err := os.MkdirTemp(o.dir, "")
	if err != nil {
		return res, err
	}
	bed, err := testbed.New(dir)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, bed.Close()) }()
	return fleet.Run(ctx, bed, c, d)
}
