package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
	"github.com/tallygate/tallygate/test/testbed"
)

// What goes on per second while the stores of spans are there, and away.
const (
	faultChecks = 500
	entryRate   = 5000 // access-log entries, one in fifty a span
)

// measureFaults compares checks and ingest while Cassandra and Jaeger take the
// spans with those while both are gone, and balances the books when they are back.
func measureFaults(ctx context.Context, o options, r *report) (err error) {
	well, away := 30*time.Second, time.Minute
	if o.quick {
		well, away = 5*time.Second, 10*time.Second
	}
	if err := writePolicies(o.dir); err != nil {
		return err
	}
	bed, err := testbed.New(o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bed.Close()) }()
	node, err := bed.StartCassandra(ctx, testbed.CassandraConfig{})
	if err != nil {
		return err
	}
	jaeger, err := bed.StartJaeger(ctx, testbed.JaegerConfig{})
	if err != nil {
		return err
	}
	const retry = "retry_on_failure: {initial_interval: 200ms, max_interval: 2s, max_elapsed_time: 0s}"
	s, als, err := startBoth(ctx, o.binary, filepath.Join(o.dir, policyList), append([]string{
		fmt.Sprintf("exporters={cassandra: {connection: {servers: [%q]}, %s}, otlp: {endpoint: %q, tls: {insecure: true}, timeout: 2s, %s}}", node.Addr, retry, jaeger.OTLP, retry),
		"spans.exporters=[cassandra, otlp]", "spans.queue.size=200000", "spans.sampling.error.enabled=false", "spans.sampling.slow.over=0s",
	}, sampling(0.02)...)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	l, err := newBothLoad(ctx, s, als)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if _, _, err := l.run(ctx, 5*time.Second); err != nil { // connections, names, the JVM
		return err
	}
	if _, err := settledSpanBooks(ctx, s.status); err != nil {
		return err
	}
	r.section("Stores of spans that are gone", fmt.Sprintf("One process with both planes, %d checks/s from the cache and %s access-log entries/s of which one in fifty becomes a span, to Cassandra and to Jaeger: for %s with both there, then for %s after both were killed; then they come back and take what waited. What they take of the two cores while they are there is in the first line.", faultChecks, thousands(entryRate), well, away))
	t := r.table("Cassandra and Jaeger", "p99 of a check", "p99 of a message's latency", "spans waiting at the end")
	var checks, messages []time.Duration
	phase := func(name string, d time.Duration) error {
		check, message, err := l.run(ctx, d)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b, err := readSpanBooks(ctx, s.status)
		if err != nil {
			return err
		}
		progress("%s: p99 of a check %s, of a message %s, %+v", name, check, message, b)
		t.row(name, seconds(check.Seconds()), seconds(message.Seconds()), thousands(b.queued))
		checks, messages = append(checks, check), append(messages, message)
		return nil
	}
	if err := phase("there", well); err != nil {
		return err
	}
	if err := jaeger.Kill(); err != nil {
		return err
	}
	var during error
	if err := node.Restart(ctx, func() { during = phase("killed", away) }); err != nil || during != nil {
		return errors.Join(err, during)
	}
	if _, err := bed.StartJaeger(ctx, testbed.JaegerConfig{OTLP: jaeger.OTLP}); err != nil {
		return err
	}
	b, err := settledSpanBooks(ctx, s.status)
	if err != nil {
		return err
	}
	r.target("p99 of a check with Cassandra and Jaeger killed to with both there", ratioOf(checks), atMost, 1.5, "%.2f")
	r.target("p99 of a message's latency with Cassandra and Jaeger killed to with both there", ratioOf(messages), atMost, 1.5, "%.2f")
	r.target("spans lost or counted as dropped in a minute without Cassandra and Jaeger", b.sampled-b.exported+b.dropped, atMost, 0, "%.0f")
	return nil
}

func ratioOf(d []time.Duration) float64 { return float64(d[1]) / float64(d[0]) }

// bothLoad asks for checks and streams access logs.
type bothLoad struct {
	asker *asker
	logs  *driven
}

func newBothLoad(ctx context.Context, s *server, als string) (*bothLoad, error) {
	traffic, err := envoysim.NewTraffic(envoysim.DefaultProfile())
	if err != nil {
		return nil, err
	}
	a, err := newVerifiedAsker(ctx, s)
	if err != nil {
		return nil, err
	}
	logs, err := drive(ctx, &server{name: s.name, cmd: s.cmd, target: als, status: s.status, messages: tallygateMessagesMetric}, traffic)
	if err != nil {
		a.close()
		return nil, err
	}
	return &bothLoad{a, logs}, nil
}

func (l *bothLoad) close() error {
	l.asker.close()
	return l.logs.fleet.Close()
}

// run does both for d and returns the p99 of each.
func (l *bothLoad) run(ctx context.Context, d time.Duration) (check, message time.Duration, err error) {
	const metric = "tallygate_als_message_latency_seconds"
	before, err := envoysim.ReadHistogram(ctx, l.logs.status, metric)
	if err != nil {
		return 0, 0, err
	}
	asked := make(chan error, 1)
	go func() {
		took, err := l.asker.open(ctx, faultChecks, d)
		if err == nil {
			check = p99Of(took)
		}
		asked <- err
	}()
	_, err = l.logs.run(ctx, int64(entryRate*d.Seconds()), entryRate)
	if err := errors.Join(err, <-asked); err != nil {
		return 0, 0, err
	}
	after, err := envoysim.ReadHistogram(ctx, l.logs.status, metric)
	return check, time.Duration(after.Since(before).Quantile(0.99) * 1e9), err
}
