//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

func TestRedis(t *testing.T) {
	t.Parallel()
	r := StartRedis(t)
	for _, c := range []struct{ command, want string }{{"SET greeting hello", "+OK"}, {"INCRBY n 7", ":7"}, {"STRLEN greeting", ":5"}} {
		if got, err := r.Do(t.Context(), c.command); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.command, got, err, c.want)
		}
	}
}

func TestCassandra(t *testing.T) {
	c := StartCassandra(t)
	if err := c.Options(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPrometheusScrapesItsTargets(t *testing.T) {
	t.Parallel()
	other := StartPrometheus(t, testbed.PrometheusConfig{})
	p := StartPrometheus(t, testbed.PrometheusConfig{Targets: []string{other.URL[len("http://"):]}})
	Eventually(t, 15*time.Second, func(ctx context.Context) error {
		up, err := p.Query(ctx, "up == 1")
		if err == nil && len(up) != 1 {
			err = fmt.Errorf("up: %v", up)
		}
		return err
	})
}

// What a bed starts ends with it, and a program that ends by itself is an
// error that says so.
func TestProcessesEnd(t *testing.T) {
	b, err := testbed.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.StartEnvoy(t.Context(), testbed.EnvoyConfig{Name: "broken", Bootstrap: "admin: {nonsense: 1}"}); err == nil {
		t.Error("an Envoy with a broken configuration is ready")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-r.Done():
	case <-time.After(time.Second):
		t.Error("redis outlives its bed")
	}
	if _, err := r.Do(t.Context(), "PING"); err == nil {
		t.Error(errors.New("redis answers after its bed is closed"))
	}
}
