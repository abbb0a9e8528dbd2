package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
	"github.com/tallygate/tallygate/test/testbed"
)

// judge is a server of checks under measurement.
type judge struct {
	name  string
	start func(context.Context) (*server, error)
	calls int64          // per run
	redis *testbed.Redis // whose CPU time counts too; nil for none

	*server
	*asker
	perCoreSecond []float64
	p50, p99      []time.Duration
}

func medianOf(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// spent is the CPU time of what answers.
func (j *judge) spent() (time.Duration, error) {
	d, err := j.cpu()
	if err != nil || j.redis == nil {
		return d, err
	}
	more, err := envoysim.CPUTime(j.redis.PID())
	return d + more, err
}

func (j *judge) run(ctx context.Context) error {
	before, err := j.spent()
	if err != nil {
		return err
	}
	if err := j.closed(ctx, j.calls, 16); err != nil {
		return err
	}
	after, err := j.spent()
	if err != nil {
		return err
	}
	j.perCoreSecond = append(j.perCoreSecond, float64(j.calls)/(after-before).Seconds())
	return nil
}

func (j *judge) latency(ctx context.Context, d time.Duration) error {
	took, err := j.open(ctx, 2000, d)
	if err != nil {
		return err
	}
	j.p50, j.p99 = append(j.p50, took[len(took)/2]), append(j.p99, took[len(took)*99/100])
	return nil
}

// measurePolicy compares checks per core-second and latency with the references.
func measurePolicy(ctx context.Context, o options, r *report) (err error) {
	rounds, share, open := 5, int64(1), 4*time.Second
	if o.quick {
		rounds, share, open = 3, 5, time.Second
	}
	if err := writePolicies(o.dir); err != nil {
		return err
	}
	ref := func(name string) func(context.Context) (*server, error) {
		return func(context.Context) (*server, error) { return startReference(name) }
	}
	tally := func(policy string, cached bool) func(context.Context) (*server, error) {
		return func(ctx context.Context) (*server, error) {
			return startPolicy(ctx, o.binary, filepath.Join(o.dir, policy), cached)
		}
	}
	js := []*judge{
		{name: "bare gRPC, decodes nothing", start: ref(checkBare), calls: 100_000 / share},
		{name: "bare gRPC, generated decoding", start: ref(checkDecode), calls: 60_000 / share},
		{name: "Tallygate, from the cache: rules as a list", start: tally(policyList, true), calls: 100_000 / share},
		{name: "bare gRPC on kept goroutines, decodes nothing", start: ref(checkBareKept), calls: 100_000 / share},
		{name: "Tallygate, from the cache: verified token", start: tally(policyVerify, true), calls: 100_000 / share},
	}
	uncached := map[string][2]*judge{}
	for _, p := range []string{policyList, policyIndexed, policyVerify} {
		pair := [2]*judge{
			{name: "OPA, straightforward: " + p, start: ref(standinPrefix + p), calls: 5_000 / share},
			{name: "Tallygate, nothing cached: " + p, start: tally(p, false), calls: 10_000 / share},
		}
		uncached[p] = pair
		js = append(js, pair[0], pair[1])
	}
	if err := measureJudges(ctx, js, rounds, open); err != nil {
		return err
	}
	r.section("Checks", "Checks per core-second of the server's process, medians of interleaved runs, over gRPC on loopback: 2,000 distinct CheckRequests of 1.4 KB, 32 at once on 2 connections. Latency is that at 2,000 checks/s, from when each was due. The decision log is on, as by default.")
	t := r.table("server", "checks per core-second", "to bare gRPC", "p50", "p99")
	base := medianOf(js[0].perCoreSecond)
	for _, j := range js {
		m := medianOf(j.perCoreSecond)
		p50, p99 := "", ""
		if len(j.p50) > 0 {
			p50, p99 = seconds(median(j.p50).Seconds()), seconds(median(j.p99).Seconds())
		}
		t.row(j.name, thousands(m), fmt.Sprintf("%.2f", m/base), p50, p99)
	}
	r.target("checks from the cache to bare gRPC that decodes nothing", medianOf(js[2].perCoreSecond)/base, atLeast, 0.8, "%.2f")
	r.target("p99 at 2,000 checks/s from the cache to bare gRPC with generated decoding", float64(median(js[2].p99))/float64(median(js[1].p99)), atMost, 1.5, "%.2f")
	for _, p := range []string{policyList, policyIndexed, policyVerify} {
		pair := uncached[p]
		r.target("uncached checks to OPA in the straightforward way, "+p, medianOf(pair[1].perCoreSecond)/medianOf(pair[0].perCoreSecond), atLeast, 2.5, "%.2f")
	}
	return nil
}

func measureJudges(ctx context.Context, js []*judge, rounds int, open time.Duration) (err error) {
	pool, err := checkPool(2000)
	if err != nil {
		return err
	}
	defer func() {
		for _, j := range js {
			if j.asker != nil {
				j.asker.close()
			}
			if j.server != nil {
				err = errors.Join(err, j.server.stop())
			}
		}
	}()
	for _, j := range js {
		if j.server, err = j.start(ctx); err != nil {
			return err
		}
		if j.asker, err = newAsker(j.server.target, 2, pool); err != nil {
			return err
		}
		if err := j.verify(ctx); err != nil {
			return fmt.Errorf("%s: %w", j.name, err)
		}
	}
	for round := range rounds {
		for i, j := range js {
			if err := j.run(ctx); err != nil {
				return fmt.Errorf("%s: %w", j.name, err)
			}
			if i < 5 {
				if err := j.latency(ctx, open); err != nil {
					return fmt.Errorf("%s: %w", j.name, err)
				}
			}
			progress("round %d  %-44s %9.0f checks per core-second", round+1, j.name, j.perCoreSecond[round])
		}
	}
	return nil
}

// writePolicies writes each policy beside the data, in a directory of its own.
func writePolicies(dir string) error {
	data, err := json.Marshal(policyData())
	if err != nil {
		return err
	}
	for _, p := range []string{policyList, policyIndexed, policyVerify, policyBulk, policyWhole} {
		text, err := policies.ReadFile("policies/" + p + ".rego")
		if err != nil {
			return err
		}
		at := filepath.Join(dir, p)
		if err := os.Mkdir(at, 0o755); err != nil {
			return err
		}
		if err := errors.Join(os.WriteFile(filepath.Join(at, "policy.rego"), text, 0o644), os.WriteFile(filepath.Join(at, "data.json"), data, 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// startPolicy starts the policy plane alone.
func startPolicy(ctx context.Context, binary, path string, cached bool) (*server, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	s := &server{
		name: "tallygate", target: ports[0], status: "http://" + ports[1] + "/metrics", messages: "tallygate_policy_generation",
	}
	s.cmd = exec.Command(binary, "serve", "--config", fmt.Sprintf("yaml:policy: {paths: [%q], cache: {enabled: %t}}", path, cached),
		"--set", "planes=[policy]", "--set", "log.level=warn", "--set", "ingest.extauthz.endpoint="+ports[0], "--set", "admin.endpoint="+ports[1])
	if err := s.start(); err != nil {
		return nil, err
	}
	if err := s.ready(ctx, 1); err != nil {
		return nil, err
	}
	return s, nil
}
