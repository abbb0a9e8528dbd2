package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
)

// checkRate is in checks per second, while something else goes on.
const checkRate = 500

// p99Of gives a percentile of latencies in any order.
func p99Of(took []time.Duration) time.Duration {
	took = slices.Clone(took)
	slices.Sort(took)
	return took[len(took)*99/100]
}

// measurePlanes compares the latency of checks while the process does nothing
// else with that while access logs come as fast as they are taken, and the table
// of 10,000 tuples is scraped without a pause.
func measurePlanes(ctx context.Context, o options, r *report) (err error) {
	rounds, d := 5, 5*time.Second
	if o.quick {
		rounds, d = 3, 2*time.Second
	}
	dir, err := os.MkdirTemp("", "tallygate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writePolicies(dir); err != nil {
		return err
	}
	s, als, err := startBoth(ctx, o.binary, filepath.Join(dir, policyList))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	a, err := newVerifiedAsker(ctx, s)
	if err != nil {
		return err
	}
	defer a.close()
	// Every label set is there before the first round.
	if _, err := saturate(ctx, o, s, als, func() error { return nil }); err != nil {
		return err
	}
	var idle, busy []time.Duration
	var entries, scrapes []float64
	for round := range rounds {
		took, err := a.open(ctx, checkRate, d)
		if err != nil {
			return err
		}
		idle = append(idle, p99Of(took))
		var sc scraper
		sc.start(ctx, time.Millisecond, s.metrics, gzipped)
		n, err := saturate(ctx, o, s, als, func() error {
			took, err = a.open(ctx, checkRate, d)
			return err
		})
		scraped, scrapeErr := sc.stop()
		if err := errors.Join(err, scrapeErr); err != nil {
			return err
		}
		busy = append(busy, p99Of(took))
		entries, scrapes = append(entries, n), append(scrapes, float64(scraped))
		progress("round %d  p99 of a check: idle %s, with ingest saturated %s (%.0f entries/s, %d scrapes)", round+1, idle[round], busy[round], n, scraped)
	}
	r.section("Checks beside telemetry", fmt.Sprintf("One process with both planes, %d checks/s from the cache: with nothing else to do, and while access logs come as fast as it takes them and 10,000 label tuples are scraped (text, gzip) without a pause, in turns. The generator of access logs runs at the lowest priority, so that what is compared is what goes on in the process; on a machine of two cores it still shares them.", checkRate))
	t := r.table("telemetry", "entries/s", "scrapes", "p99 of a check")
	t.row("idle", "0", "0", seconds(median(idle).Seconds()))
	t.row("saturated, scraped", thousands(medianOf(entries)), fmt.Sprintf("%.0f", medianOf(scrapes)), seconds(median(busy).Seconds()))
	r.target("p99 of a check with ingest saturated and scrapes of 10,000 tuples, to idle", float64(median(busy))/float64(median(idle)), atMost, 2, "%.2f")
	return nil
}

// startBoth starts both planes; als is where access logs are taken.
func startBoth(ctx context.Context, binary, policy string) (s *server, als string, err error) {
	ports, err := freePorts(4)
	if err != nil {
		return nil, "", err
	}
	s = &server{
		name: "tallygate", target: ports[0], status: "http://" + ports[1] + "/metrics", messages: "tallygate_policy_generation",
		metrics: "http://" + ports[2] + "/metrics",
	}
	s.cmd = exec.Command(binary, "serve", "--config", fmt.Sprintf("yaml:policy: {paths: [%q]}", policy),
		"--set", "log.level=warn", "--set", "red.zero_for=0s", "--set", "ingest.extauthz.endpoint="+ports[0], "--set", "admin.endpoint="+ports[1],
		"--set", "prometheus.endpoint="+ports[2], "--set", "ingest.als.endpoint="+ports[3])
	if err := s.start(); err != nil {
		return nil, "", err
	}
	if err := s.ready(ctx, 1); err != nil {
		return nil, "", err
	}
	return s, ports[3], nil
}

// saturate sends access logs as fast as s takes them, from a process of its own,
// until fn returns. It returns the entries counted per second of that time.
func saturate(ctx context.Context, o options, s *server, als string, fn func() error) (perSecond float64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.binary, "bench", "als", "--target", als, "--metrics", s.status, "--counter", tallygateMessagesMetric,
		"--tuples", "10000", "--entries", "1000000000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting the generator: %w", err)
	}
	defer func() { _ = cmd.Wait() }() // it is killed
	defer cancel()
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, 19); err != nil {
		return 0, fmt.Errorf("giving way: %w", err)
	}
	// Of messages: the families themselves are too large to be read in between.
	before, err := envoysim.ReadCounter(ctx, s.status, tallygateMessagesMetric)
	if err != nil {
		return 0, err
	}
	wait, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	// All sets of labels came once.
	if before, err = envoysim.WaitCounter(wait, s.status, tallygateMessagesMetric, before+1000); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := fn(); err != nil {
		return 0, err
	}
	took := time.Since(began)
	after, err := envoysim.ReadCounter(ctx, s.status, tallygateMessagesMetric)
	return (after - before) * float64(envoysim.DefaultProfile().EntriesPerMessage) / took.Seconds(), err
}

// reloadBytes is the size of the data that is reloaded.
const reloadBytes = 50 << 20

// measureReload replaces 50 MB of data under load.
func measureReload(ctx context.Context, o options, r *report) (err error) {
	rounds, d := 5, 5*time.Second
	if o.quick {
		rounds, d = 2, 2*time.Second
	}
	dir, err := os.MkdirTemp("", "tallygate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writePolicies(dir); err != nil {
		return err
	}
	policy := filepath.Join(dir, policyIndexed)
	if err := writeBulk(policy, 0); err != nil {
		return err
	}
	s, err := startPolicy(ctx, o.binary, policy, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	a, err := newVerifiedAsker(ctx, s)
	if err != nil {
		return err
	}
	defer a.close()
	var before, during, lasted []time.Duration
	for round := range rounds {
		took, err := a.open(ctx, checkRate, d)
		if err != nil {
			return err
		}
		before = append(before, p99Of(took))
		began := time.Now()
		took, err = a.openDuring(ctx, checkRate, func() error { return reloadBulk(ctx, s, policy, round+1) })
		if err != nil { // a check that fails is one
			return fmt.Errorf("during a reload: %w", err)
		}
		during, lasted = append(during, p99Of(took)), append(lasted, time.Since(began))
		progress("round %d  p99 of a check: %s, during a reload of %s %s", round+1, before[round], lasted[round].Round(time.Millisecond), during[round])
	}
	_, peak, err := envoysim.RSS(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	r.section("Reloads", fmt.Sprintf("%d MB of data (JSON) replaced under %d checks/s, in turns with as long a time without a reload; from the new file's appearance to the generation's being in use. No check failed. RSS is the peak, with the old and the new data in memory.", reloadBytes>>20, checkRate))
	t := r.table("", "a reload lasts", "p99 of a check", "peak RSS")
	t.row("no reload", "", seconds(median(before).Seconds()), "")
	t.row("reload", seconds(median(lasted).Seconds()), seconds(median(during).Seconds()), mebibytes(peak))
	r.target("p99 of a check during a reload of 50 MB, to before", float64(median(during))/float64(median(before)), atMost, 2, "%.2f")
	return nil
}

// writeBulk puts 50 MB of data beside a policy, whole at once.
func writeBulk(dir string, version int) error {
	var b []byte
	b = append(b, `{"bulk": {`...)
	for i := 0; len(b) < reloadBytes; i++ {
		b = fmt.Appendf(b, `"user-%d": {"roles": ["reader", "writer-%d"], "tenant": "tenant-%d", "limit": %d, "version": %d},`, i, i%97, i%1000, i%500, version)
	}
	b = fmt.Appendf(b, `"version": %d}}`, version)
	path := filepath.Join(dir, "bulk.json")
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// reloadBulk returns when new data is in use.
func reloadBulk(ctx context.Context, s *server, dir string, version int) error {
	const activations = "tallygate_policy_activations_total"
	before, err := envoysim.ReadCounter(ctx, s.status, activations)
	if err != nil {
		return err
	}
	if err := writeBulk(dir, version); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	_, err = envoysim.WaitCounter(ctx, s.status, activations, before+1)
	return err
}

// openDuring is open for as long as fn takes.
func (a *asker) openDuring(ctx context.Context, rate int, fn func() error) (took []time.Duration, err error) {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	for {
		more, err := a.open(ctx, rate, 250*time.Millisecond)
		took = append(took, more...)
		if err != nil {
			return took, errors.Join(err, <-done)
		}
		select {
		case err := <-done:
			return took, err
		default:
		}
	}
}
