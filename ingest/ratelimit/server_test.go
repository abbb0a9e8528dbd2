package ratelimit

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
)

// byKey limits descriptors by the key of their first entry.
var byKey = map[string]struct {
	rule   mesh.LimitRule
	shadow bool
}{
	"ten":     {rule: mesh.LimitRule{Path: "d.ten", Name: "named", Requests: 10, Unit: mesh.UnitMinute, Multiplier: 3}},
	"twenty":  {rule: mesh.LimitRule{Path: "d.twenty", Requests: 20, Unit: mesh.UnitHour, Multiplier: 1}},
	"shadow":  {rule: mesh.LimitRule{Path: "d.shadow", Requests: 10, Unit: mesh.UnitSecond, Multiplier: 1}, shadow: true},
	"quota":   {rule: mesh.LimitRule{Path: "d.quota", Requests: 10, Unit: mesh.UnitDay, Multiplier: 1, QuotaMode: true}},
	"never":   {rule: mesh.LimitRule{Path: "d.never", Unit: mesh.UnitSecond, Multiplier: 1}},
	"free":    {rule: mesh.LimitRule{Path: "d.free", Unlimited: true}},
	"metrics": {rule: mesh.LimitRule{Path: "d.metrics", Requests: 5, Unit: mesh.UnitSecond, Multiplier: 1}},
}

func find(_ context.Context, r *mesh.LimitRequest) error {
	clear(r.Matches)
	for i, d := range r.Descriptors {
		l, ok := byKey[d.Entries[0].Key]
		if !ok {
			continue
		}
		rule := &mesh.LimitRule{Path: l.rule.Path, Name: l.rule.Name, Requests: l.rule.Requests, Unit: l.rule.Unit,
			Multiplier: l.rule.Multiplier, QuotaMode: l.rule.QuotaMode, Unlimited: l.rule.Unlimited}
		m := mesh.LimitMatch{Rule: rule, Charge: !rule.Unlimited}
		m.Quota = mesh.Quota{Name: rule.Path, Limit: uint64(rule.Requests), Per: rule.Unit.Duration(), Cost: d.Cost, Shadow: l.shadow, Refund: d.Refund}
		if d.Override.Unit != 0 {
			m.Quota.Limit = uint64(d.Override.Requests)
		}
		if d.Entries[0].Key == "metrics" {
			m.Metric = "d.metrics_" + d.Entries[0].Value
		}
		r.Matches[i] = m
	}
	return nil
}

// left answers every charge as if so many were left before it.
func left(n uint64) limiterFunc {
	return func(q *mesh.Quota) mesh.QuotaResult {
		r := mesh.QuotaResult{Limit: q.Limit, Reset: 1500 * time.Millisecond}
		if q.Cost > n {
			r.Over, r.RetryAfter = true, 500*time.Millisecond
			return r
		}
		r.Remaining = n - q.Cost
		return r
	}
}

func TestAnswers(t *testing.T) {
	f := func(l mesh.Limiter, change func(*Config), req *rlsv3.RateLimitRequest, want string) {
		t.Helper()
		s, _ := newTestServer(t, finderFunc(find), l, change)
		got, err := dial(t, s).ShouldRateLimit(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		w := new(rlsv3.RateLimitResponse)
		if err := protojson.Unmarshal([]byte(want), w); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, w) {
			t.Errorf("got\n%v\nwant\n%v", got, w)
		}
	}
	const ten = `"currentLimit": {"name": "named", "requestsPerUnit": 10, "unit": "MINUTE", "unitMultiplier": 3}`
	const twenty = `"currentLimit": {"requestsPerUnit": 20, "unit": "HOUR"}`
	f(left(4), nil, requestOf("d", "ten=x", "nothing=x", "free=x"), `{"overallCode": "OK", "statuses": [
		{"code": "OK", `+ten+`, "limitRemaining": 3, "durationUntilReset": "2s"},
		{"code": "OK"},
		{"code": "OK", "limitRemaining": 4294967295}]}`)
	f(left(0), nil, requestOf("d", "nothing=x", "ten=x"), `{"overallCode": "OVER_LIMIT", "statuses": [
		{"code": "OK"},
		{"code": "OVER_LIMIT", `+ten+`, "durationUntilReset": "2s"}]}`)
	f(left(0), nil, requestOf("d", "shadow=x"), `{"overallCode": "OK", "statuses": [
		{"code": "OK", "currentLimit": {"requestsPerUnit": 10, "unit": "SECOND"}, "durationUntilReset": "2s"}]}`)
	f(left(100), nil, requestOf("d", "never=x"), `{"overallCode": "OVER_LIMIT", "statuses": [
		{"code": "OVER_LIMIT", "currentLimit": {"unit": "SECOND"}, "durationUntilReset": "1s"}]}`)
	f(left(0), func(c *Config) { c.Shadow = true }, requestOf("d", "ten=x"), `{"overallCode": "OK", "statuses": [
		{"code": "OVER_LIMIT", `+ten+`, "durationUntilReset": "2s"}]}`)
	f(left(0), func(c *Config) { c.Body = "too much" }, requestOf("d", "twenty=x"), `{"overallCode": "OVER_LIMIT", "rawBody": "dG9vIG11Y2g=", "statuses": [
		{"code": "OVER_LIMIT", `+twenty+`, "durationUntilReset": "2s"}]}`)

	headers := func(c *Config) { c.ResponseHeaders.Enabled = true; c.ResponseHeaders.RetryAfter = "retry-after" }
	f(left(4), headers, requestOf("d", "twenty=x", "free=x", "ten=x"), `{"overallCode": "OK", "statuses": [
		{"code": "OK", `+twenty+`, "limitRemaining": 3, "durationUntilReset": "2s"},
		{"code": "OK", "limitRemaining": 4294967295},
		{"code": "OK", `+ten+`, "limitRemaining": 3, "durationUntilReset": "2s"}],
		"responseHeadersToAdd": [{"key": "RateLimit-Limit", "value": "20"}, {"key": "RateLimit-Remaining", "value": "3"}, {"key": "RateLimit-Reset", "value": "2"}]}`)
	f(left(0), headers, requestOf("d", "ten=x", "twenty=x", "shadow=x"), `{"overallCode": "OVER_LIMIT", "statuses": [
		{"code": "OVER_LIMIT", `+ten+`, "durationUntilReset": "2s"},
		{"code": "OVER_LIMIT", `+twenty+`, "durationUntilReset": "2s"},
		{"code": "OK", "currentLimit": {"requestsPerUnit": 10, "unit": "SECOND"}, "durationUntilReset": "2s"}],
		"responseHeadersToAdd": [{"key": "RateLimit-Limit", "value": "20"}, {"key": "RateLimit-Remaining", "value": "0"},
			{"key": "RateLimit-Reset", "value": "2"}, {"key": "retry-after", "value": "1"}]}`)
	f(left(0), headers, requestOf("d", "nothing=x"), `{"overallCode": "OK", "statuses": [{"code": "OK"}]}`)

	metadata := func(c *Config) { c.DynamicMetadata = true }
	full := requestOf("d", "quota=x,user=\xf0\x9f\x98\x80", "ten=x")
	full.HitsAddend = 2
	full.Descriptors[1].HitsAddend = wrapperspb.UInt64(0)
	f(left(1), metadata, full, `{"overallCode": "OK", "statuses": [
		{"code": "OK", "currentLimit": {"requestsPerUnit": 10, "unit": "DAY"}, "durationUntilReset": "2s"},
		{"code": "OK", `+ten+`, "limitRemaining": 1, "durationUntilReset": "2s"}],
		"dynamicMetadata": {"domain": "d", "hitsAddend": 2, "quotaModeEnabled": true, "quotaModeViolations": [0],
			"descriptors": [{"entries": ["quota=x", "user=😀"]}, {"entries": ["ten=x"], "hitsAddend": 0}]}}`)
	f(left(0), func(c *Config) { c.QuotaMode = true; c.DynamicMetadata = true }, requestOf("d", "twenty=x"), `{"overallCode": "OK", "statuses": [
		{"code": "OK", `+twenty+`, "durationUntilReset": "2s"}],
		"dynamicMetadata": {"domain": "d", "quotaModeEnabled": false, "quotaModeViolations": [0], "descriptors": [{"entries": ["twenty=x"]}]}}`)
	override := samples()[0]
	override.Descriptors = override.Descriptors[1:2]
	override.Descriptors[0].Entries[0].Key = "twenty"
	f(left(5), metadata, override, `{"overallCode": "OK", "statuses": [
		{"code": "OK", "currentLimit": {"requestsPerUnit": 10, "unit": "HOUR", "unitMultiplier": 2}, "limitRemaining": 2, "durationUntilReset": "2s"}],
		"dynamicMetadata": {"domain": "envoy", "hitsAddend": 3, "quotaModeEnabled": false,
			"descriptors": [{"entries": ["twenty=gold", "user=someone"], "limit": "requests_per_unit:10 unit:HOUR"}]}}`)
}

func TestMetrics(t *testing.T) {
	s, reg := newTestServer(t, finderFunc(find), left(2), func(c *Config) { c.MaxMetrics = 6 })
	c := dial(t, s)
	ask := func(hits uint32, descriptors ...string) {
		t.Helper()
		req := requestOf("d", descriptors...)
		req.HitsAddend = hits
		if _, err := c.ShouldRateLimit(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	f := func(want float64, name string, values ...string) {
		t.Helper()
		if got := ingesttest.Metric(t, reg, name, values...); got != want {
			t.Errorf("%s %q is %v; want %v", name, values, got, want)
		}
	}
	ask(2, "ten=x", "free=x", "nothing=x")
	ask(3, "ten=x", "shadow=x", "quota=x")
	f(2, MetricHits, "d.ten", "within")
	f(3, MetricHits, "d.ten", "over_limit")
	f(2, MetricNearLimit, "d.ten") // 8 of 10 were used before
	f(2, MetricHits, "d.free", "unlimited")
	f(3, MetricHits, "d.shadow", "shadow_mode")
	f(3, MetricHits, "d.quota", "quota_mode")
	f(1, MetricDescriptors, "false")
	f(5, MetricDescriptors, "true")
	f(1, MetricRequests, "ok")
	f(1, MetricRequests, "over_limit")
	f(2, MetricDuration)
	for _, v := range []string{"a", "b", "c", "d\xff"} { // "d.metrics" itself is one of the six
		ask(1, "metrics="+strings.ToValidUTF8(v, "?"))
	}
	f(1, MetricHits, "d.metrics_a", "within")
	f(3, MetricHits, "other", "within")
}

func TestRefund(t *testing.T) {
	s, reg := newTestServer(t, finderFunc(find), limiterFunc(func(q *mesh.Quota) mesh.QuotaResult {
		if !q.Refund || q.Cost != 3 {
			t.Errorf("charged %+v; want a refund of 3", q)
		}
		return mesh.QuotaResult{Limit: q.Limit, Remaining: 7}
	}), nil)
	req := requestOf("d", "ten=x")
	req.HitsAddend, req.Descriptors[0].IsNegativeHits = 3, true
	got, err := dial(t, s).ShouldRateLimit(t.Context(), req)
	if err != nil || got.OverallCode != rlsv3.RateLimitResponse_OK || got.Statuses[0].LimitRemaining != 7 {
		t.Errorf("got %v, %v", got, err)
	}
	if n := ingesttest.Metric(t, reg, MetricHits, "refunded"); n != 3 {
		t.Errorf("%v refunded; want 3", n)
	}
}

func TestFailures(t *testing.T) {
	f := func(onError OnError, finder finderFunc, change func(*Config), code codes.Code, overall rlsv3.RateLimitResponse_Code, reason string, o outcome) {
		t.Helper()
		s, reg := newTestServer(t, finder, left(9), func(c *Config) {
			c.OnError = onError
			if change != nil {
				change(c)
			}
		})
		got, err := dial(t, s).ShouldRateLimit(t.Context(), requestOf("d", "a=b", "c=d"))
		if grpcstatus.Code(err) != code || got.GetOverallCode() != overall {
			t.Errorf("%s: got %v, %v; want %v, %v", reason, got, err, code, overall)
		}
		if code == codes.OK && (len(got.Statuses) != 2 || got.Statuses[1].Code != overall) {
			t.Errorf("%s: got %v", reason, got)
		}
		if n := ingesttest.Metric(t, reg, MetricFailures, reason); n != 1 {
			t.Errorf("%s: counted %v times", reason, n)
		}
		if n := ingesttest.Metric(t, reg, MetricRequests, outcomeNames[o]); n != 1 {
			t.Errorf("%s: outcome %s %v times", reason, outcomeNames[o], n)
		}
	}
	broken := func(context.Context, *mesh.LimitRequest) error { return errors.New("broken") }
	f(OnErrorResponse, broken, nil, codes.Unavailable, 0, ingest.FailedError, outcomeErrorResponse)
	f(OnErrorAllow, broken, nil, codes.OK, rlsv3.RateLimitResponse_OK, ingest.FailedError, outcomeErrorAllow)
	f(OnErrorDeny, broken, nil, codes.OK, rlsv3.RateLimitResponse_OVER_LIMIT, ingest.FailedError, outcomeErrorDeny)
	f(OnErrorDeny, func(context.Context, *mesh.LimitRequest) error { panic("oh") }, nil,
		codes.OK, rlsv3.RateLimitResponse_OVER_LIMIT, ingest.FailedPanic, outcomeErrorDeny)
	f(OnErrorAllow, func(ctx context.Context, _ *mesh.LimitRequest) error { <-ctx.Done(); return ctx.Err() },
		func(c *Config) { c.Timeout = time.Millisecond }, codes.OK, rlsv3.RateLimitResponse_OK, ingest.FailedDeadline, outcomeErrorAllow)
}

func TestOverload(t *testing.T) {
	held, release := make(chan bool), make(chan bool)
	s, reg := newTestServer(t, finderFunc(func(context.Context, *mesh.LimitRequest) error {
		held <- true
		<-release
		return nil
	}), left(9), func(c *Config) { c.MaxInFlight = 1; c.OnError = OnErrorDeny })
	c := dial(t, s)
	done := make(chan error, 1)
	go func() {
		_, err := c.ShouldRateLimit(context.Background(), requestOf("d", "a=b"))
		done <- err
	}()
	<-held
	got, err := c.ShouldRateLimit(t.Context(), requestOf("d", "a=b"))
	if err != nil || got.OverallCode != rlsv3.RateLimitResponse_OVER_LIMIT {
		t.Errorf("got %v, %v", got, err)
	}
	if n := ingesttest.Metric(t, reg, MetricFailures, ingest.FailedOverload); n != 1 {
		t.Errorf("%v counted; want 1", n)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	s, reg := newTestServer(t, finderFunc(func(context.Context, *mesh.LimitRequest) error {
		return &mesh.LimitRequestError{Problem: "rate limit domain must not be empty"}
	}), left(9), nil)
	c := dial(t, s)
	_, err := c.ShouldRateLimit(t.Context(), requestOf("", "a=b"))
	if grpcstatus.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "domain must not be empty") {
		t.Errorf("got %v", err)
	}
	huge := requestOf("d", "a="+strings.Repeat("x", 5<<20))
	if _, err := c.ShouldRateLimit(t.Context(), huge); grpcstatus.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v", err)
	}
	for _, reason := range []string{refusedInvalid, refusedTooLarge} {
		if n := ingesttest.Metric(t, reg, MetricFramesRefused, reason); n != 1 {
			t.Errorf("%s counted %v times; want 1", reason, n)
		}
	}
}

func TestSeconds(t *testing.T) {
	f := func(d time.Duration, want int64) {
		t.Helper()
		if got := int64(seconds(d)); got != want {
			t.Errorf("seconds(%s) = %d; want %d", d, got, want)
		}
	}
	f(0, 0)
	f(1, 1)
	f(time.Second, 1)
	f(time.Second+1, 2)
	f(math.MaxInt64, int64(math.MaxInt64/time.Second))
	if d := durationpb.New(time.Hour); d.Seconds != int64(seconds(time.Hour)) {
		t.Error("an hour is not an hour")
	}
}

func TestConfig(t *testing.T) {
	f := func(change func(*Config), want ...string) {
		t.Helper()
		cfg := DefaultConfig()
		change(&cfg)
		got := ""
		if err := cfg.Validate(); err != nil {
			got = err.Error()
		}
		if got != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	}
	f(func(*Config) {})
	f(func(c *Config) {
		c.OnError, c.Timeout, c.MaxInFlight, c.NearLimitRatio, c.MaxMetrics = "perhaps", 0, 0, math.NaN(), -1
		c.ResponseHeaders.Reset = "a b"
	},
		`on_error: "perhaps" is none of deny, allow, error_response`,
		"timeout: 0s is not more than 0",
		"max_in_flight: 0 is less than 1",
		"near_limit_ratio: NaN is not between 0 and 1",
		"max_metrics: -1 is negative",
		`response_headers.reset: "a b" is not a header name`)
}
