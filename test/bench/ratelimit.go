package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/protobuf/proto"

	"github.com/tallygate/tallygate/test/testbed"
)

const limitMethod = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"

// limits are those of the requests of limitPool.
const limitYAML = `domain: bench
descriptors:
- key: path
  value: /api
  descriptors:
  - key: user
    rate_limit: {unit: hour, requests_per_unit: 4000000000}
`

// limitPool returns requests of n users, serialised: what a filter with one
// descriptor of two entries sends.
func limitPool(n int) ([][]byte, error) {
	pool := make([][]byte, n)
	for i := range pool {
		b, err := proto.Marshal(&rlsv3.RateLimitRequest{Domain: "bench", Descriptors: []*commonv3.RateLimitDescriptor{{
			Entries: []*commonv3.RateLimitDescriptor_Entry{{Key: "path", Value: "/api"}, {Key: "user", Value: fmt.Sprintf("user-%d", i)}},
		}}})
		if err != nil {
			return nil, fmt.Errorf("writing a request: %w", err)
		}
		pool[i] = b
	}
	return pool, nil
}

// underLimit fails unless an answer says that a request may pass.
func underLimit(reply []byte) error {
	var m rlsv3.RateLimitResponse
	if err := proto.Unmarshal(reply, &m); err != nil {
		return err
	}
	if m.OverallCode != rlsv3.RateLimitResponse_OK || len(m.Statuses) != 1 {
		return fmt.Errorf("answered with %v", &m)
	}
	return nil
}

// measureRateLimit compares rate limit calls per core-second with the reference.
func measureRateLimit(ctx context.Context, o options, r *report) (err error) {
	rounds, share := 5, int64(1)
	if o.quick {
		rounds, share = 3, 5
	}
	file := filepath.Join(o.dir, "limits.yaml")
	if err := os.WriteFile(file, []byte(limitYAML), 0o644); err != nil {
		return err
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
	shared := []string{"quota.source=redis", "quota.redis.addresses=[" + redis.Addr + "]", "quota.redis.timeout=1s"}
	tally := func(section string, until []string, sets ...string) func(context.Context) (*server, error) {
		return func(ctx context.Context) (*server, error) { return startLimits(ctx, o.binary, section, until, sets...) }
	}
	const hasLimits, hasPolicy, hasRedis = "tallygate_descriptors_domains", "tallygate_policy_generation", "tallygate_quota_redis_up"
	installed, err := bed.Cache.Installed("ratelimit")
	if err != nil {
		return err
	}
	yaml := fmt.Sprintf("ratelimit: {paths: [%q]}", file)
	strict, err := writePolicy(o.dir, policyStrict)
	if err != nil {
		return err
	}
	js := []*judge{
		{name: "bare gRPC, generated code, always OK", start: func(context.Context) (*server, error) { return startReference(limitBare) }, calls: 100_000},
		{name: "Tallygate, local quotas", start: tally(yaml, []string{hasLimits}), calls: 100_000},
		{name: "Tallygate, leases of Redis", start: tally(yaml, []string{hasLimits, hasRedis}, shared...), calls: 100_000, redis: redis},
		{
			name: "Tallygate, sync: Redis asked each time", calls: 40_000, redis: redis,
			start: tally(fmt.Sprintf("policy: {paths: [%q], entrypoint: envoy/limits/limit, entrypoints: {strict: envoy/limits/limit}}, ratelimit: {entrypoint: strict}", strict), []string{hasPolicy, hasRedis}, shared...),
		},
		{name: "envoyproxy/ratelimit", start: func(ctx context.Context) (*server, error) {
			return startEnvoyRateLimit(ctx, bed, limitYAML, redis.Addr)
		}, calls: 20_000, redis: redis},
	}
	pool, err := limitPool(100)
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
		j.calls /= share
		if j.server, err = j.start(ctx); err != nil {
			return err
		}
		if j.asker, err = newAsker(j.server.target, 2, pool); err != nil {
			return err
		}
		j.asker.method, j.asker.passes = limitMethod, underLimit
		if err := j.verify(ctx); err != nil {
			return fmt.Errorf("%s: %w", j.name, err)
		}
	}
	for round := range rounds {
		for _, j := range js {
			if err := j.run(ctx); err != nil {
				return fmt.Errorf("%s: %w", j.name, err)
			}
			progress("round %d  %-44s %9.0f calls per core-second", round+1, j.name, j.perCoreSecond[round])
		}
	}
	r.section("Rate limits", "ShouldRateLimit calls per core-second, medians of interleaved runs, over gRPC on loopback: 100 keys, one descriptor of two entries, 32 at once on 2 connections, every call under its limit. "+
		"It is the CPU time of the server's process, and where there is a Redis that of redis-server too. envoyproxy/ratelimit is "+installed.Version+" with its default settings, without statsd; sync are limits from a policy, decided from the cache.")
	t := r.table("server", "calls per core-second", "to bare gRPC")
	base := medianOf(js[0].perCoreSecond)
	for _, j := range js {
		t.row(j.name, thousands(medianOf(j.perCoreSecond)), fmt.Sprintf("%.2f", medianOf(j.perCoreSecond)/base))
	}
	r.target("rate limit calls with local quotas to bare gRPC", medianOf(js[1].perCoreSecond)/base, atLeast, 0.75, "%.2f")
	r.target("rate limit calls with leases of Redis to bare gRPC", medianOf(js[2].perCoreSecond)/base, atLeast, 0.68, "%.2f")
	r.target("rate limit calls with sync quotas to envoyproxy/ratelimit, Redis included", medianOf(js[3].perCoreSecond)/medianOf(js[4].perCoreSecond), atLeast, 1, "%.2f")
	return nil
}

// startLimits starts the rate limit service alone, with further sections of the
// configuration, and waits until each metric of until is 1.
func startLimits(ctx context.Context, binary, sections string, until []string, sets ...string) (*server, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	s := &server{name: "tallygate", target: ports[0], status: "http://" + ports[1] + "/metrics"}
	args := []string{"serve", "--config", "yaml:{" + sections + "}", "--set", "planes=[policy]", "--set", "log.level=warn",
		"--set", "ingest.ratelimit.endpoint=" + ports[0], "--set", "admin.endpoint=" + ports[1], "--set", "ingest.ratelimit.timeout=5s"}
	for _, set := range sets {
		args = append(args, "--set", set)
	}
	s.cmd = exec.Command(binary, args...)
	if err := s.start(); err != nil {
		return nil, err
	}
	for _, s.messages = range until {
		if err := s.ready(ctx, 1); err != nil {
			return nil, err
		}
	}
	return s, nil
}
