package policy

import (
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

func TestLife(t *testing.T) {
	cfg := CacheConfig{DefaultTTL: time.Minute, MaxTTL: 5 * time.Minute, DenyTTL: 10 * time.Second}
	began := time.Unix(1_700_000_000, 0)
	allow, deny := &mesh.Verdict{Allowed: true}, &mesh.Verdict{}
	ttl := func(d time.Duration) CacheHint { return CacheHint{HasTTL: true, TTL: d} }
	f := func(s Shape, r Result, want time.Duration, wantReason string) {
		t.Helper()
		expires, reason := cfg.life(began, &s, &r)
		if reason != wantReason || reason == "" && expires.Sub(began) != want {
			t.Errorf("%s, %q; want %s, %q", expires.Sub(began), reason, want, wantReason)
		}
	}
	f(Shape{}, Result{Verdict: allow}, time.Minute, "")
	f(Shape{}, Result{Verdict: deny}, 10*time.Second, "")
	f(Shape{}, Result{Verdict: allow, Cache: ttl(2 * time.Minute)}, 2*time.Minute, "")
	f(Shape{}, Result{Verdict: allow, Cache: ttl(time.Hour)}, 5*time.Minute, "")
	f(Shape{}, Result{Verdict: deny, Cache: ttl(time.Hour)}, 10*time.Second, "")
	f(Shape{}, Result{Verdict: deny, Cache: ttl(time.Second)}, time.Second, "")
	f(Shape{}, Result{Verdict: allow, Cache: ttl(0)}, 0, keptExpired)
	f(Shape{}, Result{Verdict: allow, Cache: ttl(-1)}, 0, keptExpired)
	f(Shape{}, Result{Verdict: allow, Cache: CacheHint{NoStore: true, HasTTL: true, TTL: time.Hour}}, 0, keptNoStore)
	f(Shape{TTL: 3 * time.Second}, Result{Verdict: allow}, 3*time.Second, "")
	f(Shape{TTL: 3 * time.Second}, Result{Verdict: allow, Cache: ttl(time.Minute)}, 3*time.Second, "")
	f(Shape{TTL: time.Minute}, Result{Verdict: allow, Cache: ttl(time.Second)}, time.Second, "")
	f(Shape{TTL: time.Hour}, Result{Verdict: allow}, 5*time.Minute, "")
	f(Shape{NeedsTTL: true}, Result{Verdict: allow}, 0, keptNoTTL)
	f(Shape{NeedsTTL: true}, Result{Verdict: allow, Expires: began.Add(time.Second)}, 0, keptNoTTL)
	f(Shape{NeedsTTL: true, TTL: time.Second}, Result{Verdict: allow}, time.Second, "")
	f(Shape{NeedsTTL: true}, Result{Verdict: allow, Cache: ttl(2 * time.Second)}, 2*time.Second, "")
	f(Shape{NeedsTTL: true}, Result{Verdict: allow, Cache: CacheHint{NotAfter: began.Add(time.Second)}}, time.Second, "")
	f(Shape{}, Result{Verdict: allow, Cache: CacheHint{NotAfter: began.Add(time.Hour)}}, 5*time.Minute, "")
	f(Shape{}, Result{Verdict: allow, Cache: CacheHint{NotAfter: began}}, 0, keptExpired)
	f(Shape{}, Result{Verdict: allow, Expires: began.Add(7 * time.Second)}, 7*time.Second, "")
	f(Shape{}, Result{Verdict: allow, Expires: began.Add(-time.Second)}, 0, keptExpired)
	f(Shape{}, Result{Verdict: allow, Cache: ttl(time.Second), Expires: began.Add(time.Hour)}, time.Second, "")
}

func TestLimiter(t *testing.T) {
	l := newLimiter(8, 100*time.Millisecond)
	now := time.Unix(1_700_000_000, 0)
	for range 8 {
		if !l.acquire() {
			t.Fatal("refused below the limit")
		}
	}
	if l.acquire() {
		t.Error("one more than the limit")
	}
	for range 8 { // slow together: one decrease
		l.release(now, 60*time.Millisecond)
	}
	if n, limit := l.figures(); n != 0 || limit < 6.3 || limit > 6.5 {
		t.Errorf("%d in flight, limit %v; want 0, 6.4", n, limit)
	}
	for range 100 {
		now = now.Add(time.Second)
		l.acquire()
		l.release(now, time.Second)
	}
	if _, limit := l.figures(); limit != l.least {
		t.Errorf("limit %v; want no less than %v", limit, l.least)
	}
	for range 1000 {
		for l.acquire() {
		}
		for n, _ := l.figures(); n > 0; n-- {
			l.release(now, time.Millisecond)
		}
	}
	if _, limit := l.figures(); limit != 8 {
		t.Errorf("limit %v; want 8 again", limit)
	}
	l.configure(3, time.Second)
	if _, limit := l.figures(); limit != 3 {
		t.Errorf("limit %v; want 3", limit)
	}
}
