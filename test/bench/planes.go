package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
)

// measurePlanes compares the latency of checks while the process does nothing
// else with that while access logs come as fast as they are taken, and the table
// of 10,000 tuples is scraped without a pause.
func measurePlanes(ctx context.Context, o options, r *report) (err error) {
	rounds, d := 5, 5*time.Second
	if o.quick {
		rounds, d = 3, 2*time.Second
	}
	if err := writePolicies(o.dir); err != nil {
		return err
	}
	s, als, err := startBoth(ctx, o.binary, filepath.Join(o.dir, policyList))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	p, err := newPair(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	// Every label set is there before the first round.
	if _, err := saturate(ctx, o, s, als, func() error { return nil }); err != nil {
		return err
	}
	var entries, scrapes []float64
	for round := range rounds {
		if err := p.quiet(ctx, d); err != nil {
			return err
		}
		var sc scraper
		sc.start(ctx, time.Millisecond, s.metrics, gzipped)
		n, err := saturate(ctx, o, s, als, func() error {
			return p.during(ctx, func() error { time.Sleep(d); return nil })
		})
		scraped, scrapeErr := sc.stop()
		if err := errors.Join(err, scrapeErr); err != nil {
			return err
		}
		entries, scrapes = append(entries, n), append(scrapes, float64(scraped))
		progress("round %d  p99 of a check: %s (%.0f entries/s, %d scrapes)", round+1, p, n, scraped)
	}
	r.section("Checks beside telemetry", "One process with both planes, asked while it has nothing else to do, and while access logs come as fast as it takes them and 10,000 label tuples are scraped (text, gzip) without a pause, in turns. As it also answers checks, it takes only as many as leave them room (`ingest.als.decoder_share`); the senders wait. The generator of access logs runs at the lowest priority. "+pairedText)
	t := r.table("telemetry", "entries/s", "scrapes", "p99 of a check", "p99 of bare gRPC in a process of its own")
	t.row("idle", "0", "0", p.ours.idle(), p.bare.idle())
	t.row("saturated, scraped", thousands(medianOf(entries)), fmt.Sprintf("%.0f", medianOf(scrapes)), p.ours.busy(), p.bare.busy())
	p.targets(r, "with ingest saturated and scrapes of 10,000 tuples")
	return nil
}

// startBoth starts both planes; als is where access logs are taken.
func startBoth(ctx context.Context, binary, policy string, sets ...string) (s *server, als string, err error) {
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
	for _, set := range sets {
		s.cmd.Args = append(s.cmd.Args, "--set", set)
	}
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
	cmd := exec.CommandContext(ctx, "nice", "-n", "19", o.binary, "bench", "als", "--target", als, "--metrics", s.status, "--counter", tallygateMessagesMetric,
		"--tuples", "10000", "--entries", "1000000000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting the generator: %w", err)
	}
	defer func() { _ = cmd.Wait() }() // it is killed
	defer cancel()
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
