package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/quota"
	"github.com/tallygate/tallygate/test/testbed"
)

const (
	policyPlain  = "plain"
	policyQuotas = "quotas"
	policySync   = "sync"
	policyShared = "shared"
	policyStrict = "strict" // of the rate limit service
)

// measureQuota compares checks with quotas and without, and counts what Redis is
// asked and what a key takes.
func measureQuota(ctx context.Context, o options, r *report) (err error) {
	rounds, share, steady := 7, int64(1), 10*time.Second
	if o.quick {
		rounds, share, steady = 3, 5, 3*time.Second
	}
	bed, err := testbed.New(o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bed.Close()) }()
	redis, err := bed.StartRedis(ctx)
	if err != nil {
		return err
	}
	shared := "source: redis, redis: {addresses: [" + strconv.Quote(redis.Addr) + "], timeout: 1s}"
	tally := func(policy, quota string) func(context.Context) (*server, error) {
		return func(ctx context.Context) (*server, error) { return startQuotas(ctx, o.binary, o.dir, policy, quota) }
	}
	js := []*judge{
		{name: "no quotas", start: tally(policyPlain, ""), calls: 60_000 / share},
		{name: "three quotas, local", start: tally(policyQuotas, "source: local"), calls: 60_000 / share},
		{name: "three quotas, leases of Redis", start: tally(policyQuotas, shared), calls: 60_000 / share},
		{name: "one quota, leases of Redis", start: tally(policyShared, shared), calls: 60_000 / share},
		{name: "one quota, sync: Redis asked each time", start: tally(policySync, shared), calls: 20_000 / share},
	}
	pool, err := checkPool(100)
	if err != nil {
		return err
	}
	defer func() {
		for _, j := range js {
			if j.asker != nil {
				j.asker.close()
			}
			if j.server != nil {
				if e := j.server.stop(); err == nil {
					err = e
				}
			}
		}
	}()
	for _, j := range js {
		if j.server, err = j.start(ctx); err != nil {
			return err
		}
		if j.asker, err = newAsker(j.target, 2, pool); err != nil {
			return err
		}
		if err := j.verify(ctx); err != nil {
			return fmt.Errorf("%s: %w", j.name, err)
		}
	}
	for round := range rounds {
		for _, j := range js {
			if err := j.run(ctx); err != nil {
				return fmt.Errorf("%s: %w", j.name, err)
			}
			progress("round %d  %-44s %9.0f checks per core-second", round+1, j.name, j.perCoreSecond[round])
		}
	}
	r.section("Quotas", "Checks per core-second of the server's process (Redis not included), medians of interleaved runs, all decided from the cache: 100 callers, each with its own keys, 32 at once on 2 connections.")
	t := r.table("server", "checks per core-second", "CPU time to that without quotas")
	base := medianOf(js[0].perCoreSecond)
	for _, j := range js {
		m := medianOf(j.perCoreSecond)
		t.row(j.name, thousands(m), fmt.Sprintf("%.2f", base/m))
	}
	r.target("CPU time of a check with three quotas to one without", base/medianOf(js[1].perCoreSecond), atMost, 1.15, "%.2f")

	for _, c := range []struct {
		*judge
		quotas string
	}{{js[3], "one quota"}, {js[2], "three quotas"}} {
		trips, err := roundTrips(ctx, c.judge, steady)
		if err != nil {
			return err
		}
		r.target("round trips to Redis per 100 checks of "+c.quotas+", 5,000/s over 100 hot keys", trips, atMost, 1, "%.2f")
	}
	bytes, err := bytesPerKey()
	if err != nil {
		return err
	}
	r.target("MB of one million live keys in the local table", bytes, atMost, 200, "%.0f")
	return nil
}

// startQuotas starts the policy plane with a policy of this file.
func startQuotas(ctx context.Context, binary, dir, policy, section string) (*server, error) {
	path, err := writePolicy(dir, policy)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	s := &server{name: "tallygate", target: ports[0], status: "http://" + ports[1] + "/metrics", messages: "tallygate_policy_generation"}
	s.cmd = exec.Command(binary, "serve", "--config", fmt.Sprintf("yaml:{policy: {paths: [%q]}, quota: {%s}}", path, section),
		"--set", "planes=[policy]", "--set", "log.level=warn", "--set", "ingest.extauthz.endpoint="+ports[0], "--set", "admin.endpoint="+ports[1])
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, s.ready(ctx, 1)
}

// writePolicy writes a policy of this file into dir.
func writePolicy(dir, policy string) (path string, err error) {
	text, err := policies.ReadFile("policies/" + policy + ".rego")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, policy+".rego")
	return path, os.WriteFile(path, text, 0o644)
}

var batches = regexp.MustCompile(`(?m)^tallygate_quota_redis_batches_total (\S+)$`)

// roundTrips returns how often Redis was asked, for 100 checks at a steady rate.
func roundTrips(ctx context.Context, j *judge, d time.Duration) (float64, error) {
	const rate = 5000
	if _, err := j.open(ctx, rate, time.Second); err != nil { // that the rates are known
		return 0, err
	}
	before, err := j.metric(ctx, batches)
	if err != nil {
		return 0, err
	}
	if _, err := j.open(ctx, rate, d); err != nil {
		return 0, err
	}
	after, err := j.metric(ctx, batches)
	return 100 * (after - before) / (rate * d.Seconds()), err
}

func (s *server) metric(ctx context.Context, re *regexp.Regexp) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.status, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	m := re.FindSubmatch(b)
	if m == nil {
		return 0, fmt.Errorf("%s has no %s", s.status, re)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

// bytesPerKey returns the growth of the heap by a million live keys, in MB.
func bytesPerKey() (float64, error) {
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	cfg := quota.DefaultConfig()
	cfg.Local.MaxSizeMiB = 200
	before := heap()
	l, err := quota.New(cfg, quota.Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	results := make([]mesh.QuotaResult, 1)
	var scratch []byte
	for i := range 1_000_000 {
		q := []mesh.Quota{{Name: "q", Key: fmt.Sprintf("user-%032d", i), Limit: 10, Per: time.Hour, Cost: 1}}
		scratch = q[0].Identify(scratch)
		l.Charge(context.Background(), q, results, mesh.ChargeAll)
		if results[0].Source != mesh.QuotaLocal {
			return 0, fmt.Errorf("key %d found no room", i)
		}
	}
	grown := heap() - before
	runtime.KeepAlive(l)
	return grown / 1e6, nil
}
