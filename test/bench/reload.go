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

// measureReload replaces 50 MB of data under load.
func measureReload(ctx context.Context, o options, r *report) (err error) {
	rounds, d := 5, 5*time.Second
	if o.quick {
		rounds, d = 2, 2*time.Second
	}
	if err := writePolicies(o.dir); err != nil {
		return err
	}
	policy := filepath.Join(o.dir, policyIndexed)
	if err := writeBulk(policy+"/bulk.json", 0); err != nil {
		return err
	}
	s, err := startPolicy(ctx, o.binary, policy, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	p, err := newPair(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var lasted []time.Duration
	for round := range rounds {
		if err := p.quiet(ctx, d); err != nil {
			return err
		}
		if err := writeBulk(policy+"/bulk.json.new", round+1); err != nil {
			return err
		}
		began := time.Now()
		if err := p.during(ctx, func() error { return reloadBulk(ctx, s, policy) }); err != nil { // a check that fails is one
			return fmt.Errorf("during a reload: %w", err)
		}
		lasted = append(lasted, time.Since(began))
		progress("round %d  p99 of a check: %s, a reload of %s", round+1, p, lasted[round].Round(time.Millisecond))
	}
	_, peak, err := envoysim.RSS(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	r.section("Reloads", fmt.Sprintf("%d MB of data (JSON) replaced under load, in turns with as long a time without a reload; from the new file's appearance to the generation's being in use. No check failed. RSS is the peak, with the old and the new data in memory. %s", reloadBytes>>20, pairedText))
	t := r.table("", "a reload lasts", "p99 of a check", "p99 of bare gRPC in a process of its own", "peak RSS")
	t.row("no reload", "", p.ours.idle(), p.bare.idle(), "")
	t.row("reload", seconds(median(lasted).Seconds()), p.ours.busy(), p.bare.busy(), mebibytes(peak))
	p.targets(r, "during a reload of 50 MB")
	return nil
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
	_, err = envoysim.WaitCounter(ctx, s.status, activations, before+1)
	return err
}
