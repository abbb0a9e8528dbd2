//go:build e2e

package quota

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/test/testbed"
)

// TestRedisFails: each on_error does what it says, quickly, and all is well
// once Redis is back.
func TestRedisFails(t *testing.T) {
	redis := startRedis(t)
	cfg := redisConfig(redis.Addr)
	cfg.Redis.Timeout = 200 * time.Millisecond
	l, _ := startReplica(t, cfg)
	quotas := map[mesh.QuotaOnError]mesh.Quota{}
	for _, o := range []mesh.QuotaOnError{mesh.QuotaErrorAllow, mesh.QuotaErrorDeny, mesh.QuotaErrorLocal} {
		q := mesh.Quota{Name: o.String(), Key: "k", Limit: 2, Per: time.Hour, Cost: 1, OnError: o}
		q.Identify(nil)
		quotas[o] = q
		if r := once(t, l, q); r.Over || r.Source != mesh.QuotaRedis {
			t.Errorf("%s: %+v", o, r)
		}
	}
	if err := redis.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	results := make([]mesh.QuotaResult, 1)
	began := time.Now()
	l.Charge(ctx, []mesh.Quota{quotas[mesh.QuotaErrorDeny]}, results, mesh.ChargeAll)
	if d := time.Since(began); d > 150*time.Millisecond || results[0].Source != mesh.QuotaFailed {
		t.Errorf("a charge with 20ms took %s: %+v", d, results[0])
	}
	eventually(t, "the breaker opens", func() bool {
		once(t, l, quotas[mesh.QuotaErrorDeny])
		return !l.shared.batcher.breaker.closed()
	})
	began = time.Now()
	for i := range 1000 {
		if r := once(t, l, quotas[mesh.QuotaErrorAllow]); r.Over || r.Source != mesh.QuotaFailed {
			t.Fatalf("allow: %+v", r)
		}
		if r := once(t, l, quotas[mesh.QuotaErrorDeny]); !r.Over || r.Source != mesh.QuotaFailed {
			t.Fatalf("deny: %+v", r)
		}
		if r := once(t, l, quotas[mesh.QuotaErrorLocal]); r.Over != (i >= 2) || r.Source != mesh.QuotaFallback {
			t.Fatalf("local, charge %d: %+v", i, r)
		}
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("3000 charges without Redis took %s", d)
	}
	if err := redis.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "redis is asked again", l.shared.batcher.breaker.closed)
	if r := once(t, l, quotas[mesh.QuotaErrorAllow]); r.Source != mesh.QuotaRedis {
		t.Errorf("after: %+v", r)
	}
}

// TestWithoutRedis: it starts all the same, answers as on_error says, and says
// so.
func TestWithoutRedis(t *testing.T) {
	addr, err := testbed.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cfg := redisConfig(addr)
	cfg.OnError = "allow"
	var log bytes.Buffer
	l, err := New(cfg, Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	stop, done := running(t, l)
	if r := once(t, l, perSecond("q", "k", 1)); r.Over || r.Source != mesh.QuotaFailed {
		t.Errorf("%+v", r)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	balanced(t, l)
}
