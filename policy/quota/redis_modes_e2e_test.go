//go:build e2e

package quota

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/test/testbed"
)

func newBed(t testing.TB) *testbed.Bed {
	t.Helper()
	bed, err := testbed.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bed.Close(); err != nil {
			t.Error(err)
		}
	})
	return bed
}

// TestBatteryACL: a user with the rights that docs/quotas.md names, and no more.
func TestBatteryACL(t *testing.T) {
	const user = "tallygate on >secret ~tallygate:* -@all +get +set +del +time +eval +evalsha +client|setname +hello +ping"
	r, err := newBed(t).StartRedisWith(t.Context(), append([]string{"--requirepass", "other", "--user"}, strings.Fields(user)...)...)
	if err != nil {
		t.Fatal(err)
	}
	cfg := redisConfig(r.Addr)
	cfg.Redis.Username, cfg.Redis.Password = "tallygate", "secret"
	l, _ := startReplica(t, cfg)
	battery(t, l)
	cfg.Redis.Password = "wrong"
	client, err := newRedisClient(cfg.Redis)
	if err != nil {
		t.Fatal(err)
	}
	defer client.close()
	if err := client.connect(t.Context()); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("a wrong password: %v", err)
	}
}

// TestBatteryTLS: both sides show certificates.
func TestBatteryTLS(t *testing.T) {
	bed := newBed(t)
	ca, err := testbed.NewCA(filepath.Join(bed.Dir, "pki"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := ca.Issue("redis", testbed.SPIFFE("quota", "redis"))
	if err != nil {
		t.Fatal(err)
	}
	addr, err := testbed.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(addr, ":")
	if _, err := bed.StartRedisWith(t.Context(), "--tls-port", port, "--tls-cert-file", id.Cert, "--tls-key-file", id.Key, "--tls-ca-cert-file", ca.Root); err != nil {
		t.Fatal(err)
	}
	cfg := redisConfig(addr)
	cfg.Redis.TLS = RedisTLS{Enabled: true, CAFile: ca.Root, CertFile: id.Cert, KeyFile: id.Key, ServerName: "localhost"}
	l, _ := startReplica(t, cfg)
	battery(t, l)
}

// TestBatteryCluster: and slots move while charges go on.
func TestBatteryCluster(t *testing.T) {
	c, err := newBed(t).StartRedisCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg := redisConfig(c.Nodes[0].Addr)
	cfg.Redis.Mode = RedisCluster
	l, _ := startReplica(t, cfg)
	battery(t, l)

	// Of 100 tokens none may be admitted twice, wherever their slot is.
	q := mesh.Quota{Name: "moved", Key: "k", Limit: 100, Per: time.Hour, Cost: 1, Sync: true}
	q.Identify(nil)
	slot := slotOf("q" + string("0123456789abcdef"[tagOf(&q.ID)]))
	from := 0
	for slot > (from+1)*16384/3-1 {
		from++
	}
	moved := make(chan error, 1)
	admitted, failed := 0, 0
	for i := range 400 {
		if i == 20 {
			go func() { moved <- c.Move(t.Context(), slot, c.Nodes[from], c.Nodes[(from+1)%3]) }()
		}
		switch r := once(t, l, q); {
		case r.Source == mesh.QuotaFailed:
			failed++
		case !r.Over:
			admitted++
		}
	}
	if err := <-moved; err != nil {
		t.Fatal(err)
	}
	// A charge whose answer is lost is not admitted, and taken.
	if admitted > 100 || admitted+failed < 100 {
		t.Errorf("%d admitted, %d failed; want 100", admitted, failed)
	}
	eventually(t, "the moved slot answers", func() bool { return once(t, l, q).Source == mesh.QuotaRedis })
}

// slotOf is the slot of a hash tag.
// Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec
func slotOf(tag string) int {
	crc := uint16(0)
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc % 16384)
}

// TestSentinelFailover: the master dies, on_error answers, and charges go on at
// the new master; what it had not got is at most a limit more.
func TestSentinelFailover(t *testing.T) {
	f, err := newBed(t).StartRedisFailover(t.Context(), "quotas")
	if err != nil {
		t.Fatal(err)
	}
	cfg := redisConfig(f.Sentinel.Addr)
	cfg.Redis.Mode, cfg.Redis.MasterName = RedisSentinel, "quotas"
	cfg.Redis.Timeout = 200 * time.Millisecond
	l, _ := startReplica(t, cfg)
	q := mesh.Quota{Name: "q", Key: "k", Limit: 50, Per: time.Hour, Cost: 1, Sync: true}
	q.Identify(nil)
	for range 30 {
		if r := once(t, l, q); r.Over {
			t.Fatalf("%+v", r)
		}
	}
	if err := f.Master.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		results := make([]mesh.QuotaResult, 1)
		began := time.Now()
		l.Charge(ctx, []mesh.Quota{q}, results, mesh.ChargeAll)
		cancel()
		if d := time.Since(began); d > time.Second {
			t.Errorf("a charge took %s", d)
		}
		if results[0].Source == mesh.QuotaFailed && !results[0].Over {
			t.Error("on_error: deny let one through")
		}
	}
	admitted := 30
	answered := false
	eventually(t, "the new master answers", func() bool {
		r := once(t, l, q)
		if r.Source == mesh.QuotaRedis {
			answered = true
			if !r.Over {
				admitted++
			}
		}
		return answered && r.Over
	})
	if admitted < 50 || admitted > 100 {
		t.Errorf("%d admitted; want 50, and no more than a limit on top", admitted)
	}
}
