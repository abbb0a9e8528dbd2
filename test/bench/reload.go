package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
)

// reloadBytes is the size of the data that is reloaded.
const reloadBytes = 50 << 20

// measureReload replaces 50 MB of data under load, of which a policy looks one
// member up, and of which another needs the whole.
func measureReload(ctx context.Context, o options, r *report) error {
	if err := writePolicies(o.dir); err != nil {
		return err
	}
	r.section("Reloads", fmt.Sprintf("%d MB of data (JSON) replaced under load, in turns with as long a time without a reload, until a second after they are in use. No check failed. The first policy looks members of the data up by name, so that they stay text; the second counts them, too, and they are made into OPA's values. RSS is the peak, with the old and the new data in memory. %s", reloadBytes>>20, pairedText))
	t := r.table("", "a reload lasts", "p99 of a check", "p99 of bare gRPC in a process of its own", "peak RSS")
	for _, c := range []struct {
		policy, title string
		held          bool
	}{{policyBulk, "looked up by name", true}, {policyWhole, "as a whole", false}} {
		p, lasted, peak, err := measureReloads(ctx, o, filepath.Join(o.dir, c.policy))
		if err != nil {
			return err
		}
		t.row(c.title+": no reload", "", p.ours.idle(), p.bare.idle(), "")
		t.row(c.title+": reload", seconds(lasted.Seconds()), p.ours.busy(), p.bare.busy(), mebibytes(peak))
		if c.held {
			p.targets(r, "during a reload of 50 MB")
		}
	}
	return nil
}

// measureReloads returns how long checks and reloads take with the policy in dir.
func measureReloads(ctx context.Context, o options, dir string) (p *pair, lasted time.Duration, peak int64, err error) {
	rounds, d := 5, 5*time.Second
	if o.quick {
		rounds, d = 2, 2*time.Second
	}
	if err := writeBulk(dir+"/bulk.json", 0); err != nil {
		return nil, 0, 0, err
	}
	s, err := startPolicy(ctx, o.binary, dir, true)
	if err != nil {
		return nil, 0, 0, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if p, err = newPair(ctx, s); err != nil {
		return nil, 0, 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var took []time.Duration
	for round := range rounds {
		if err := writeBulk(dir+"/bulk.json.new", round+1); err != nil {
			return nil, 0, 0, err
		}
		time.Sleep(time.Second) // what writing took
		if err := p.quiet(ctx, d); err != nil {
			return nil, 0, 0, err
		}
		err := p.during(ctx, func() error {
			began := time.Now()
			if err := reloadBulk(ctx, s, dir); err != nil {
				return err
			}
			took = append(took, time.Since(began))
			time.Sleep(time.Second) // what is left behind is collected
			return nil
		})
		if err != nil { // a check that fails is one
			return nil, 0, 0, fmt.Errorf("during a reload: %w", err)
		}
		progress("round %d  p99 of a check: %s, a reload of %s", round+1, p, took[round].Round(time.Millisecond))
	}
	_, peak, err = envoysim.RSS(s.cmd.Process.Pid)
	return p, median(took), peak, err
}

// writeBulk writes 50 MB of data.
func writeBulk(path string, version int) error {
	var b []byte
	b = append(b, `{"bulk": {`...)
	for i := 0; len(b) < reloadBytes; i++ {
		b = fmt.Appendf(b, `"user-%d": {"roles": ["reader", "writer-%d"], "tenant": "tenant-%d", "limit": %d, "version": %d},`, i, i%97, i%1000, i%500, version)
	}
	b = fmt.Appendf(b, `"version": %d}}`, version)
	return os.WriteFile(path, b, 0o600)
}

// reloadBulk puts new data in the place of the old and returns when it is in
// use.
func reloadBulk(ctx context.Context, s *server, dir string) error {
	const activations = "tallygate_policy_activations_total"
	before, err := envoysim.ReadCounter(ctx, s.status, activations)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "bulk.json")
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	_, err = envoysim.WaitCounterEvery(ctx, 100*time.Millisecond, s.status, activations, before+1)
	return err
}
