package ratelimit_test

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/ingest/ratelimit"
	"github.com/tallygate/tallygate/policy/quota"
	"github.com/tallygate/tallygate/policy/quota/descriptors"
)

// scenario is a configuration and what is asked of it.
type scenario struct {
	Name, Config string
	Steps        []struct {
		Ask, Domain, Want string
		Times             int
		Hits              uint32
		Wait              time.Duration
	}
	Hits map[string]map[string]float64 // by limit and result
}

// TestReadme: what envoyproxy/ratelimit's README states of its configurations
// holds over gRPC, through limits, charges and answers.
func TestReadme(t *testing.T) {
	data, err := os.ReadFile("testdata/readme.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var scenarios []scenario
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	dec.KnownFields(true)
	if err := dec.Decode(&scenarios); err != nil || len(scenarios) < 14 {
		t.Fatalf("%d scenarios: %v", len(scenarios), err)
	}
	for _, sc := range scenarios {
		t.Run(sc.Name, func(t *testing.T) { sc.play(t) })
	}
}

func (sc *scenario) play(t *testing.T) {
	set, err := descriptors.Compile([]descriptors.File{{Name: "readme.yaml", Data: []byte(sc.Config)}}, false)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0).Truncate(24 * time.Hour)
	log := slog.New(slog.DiscardHandler)
	limiter, err := quota.New(quota.DefaultConfig(), quota.Options{Metrics: prometheus.NewRegistry(), Log: log, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewPedanticRegistry()
	cfg := ratelimit.DefaultConfig()
	cfg.Timeout = time.Minute
	s, err := ratelimit.New(cfg, set, limiter, reg, log)
	if err != nil {
		t.Fatal(err)
	}
	c := rlsv3.NewRateLimitServiceClient(ingesttest.Serve(t, s.Register))
	first, _, _ := strings.Cut(strings.TrimPrefix(sc.Config, "domain: "), "\n")
	for i, step := range sc.Steps {
		if step.Wait > 0 {
			now = now.Truncate(step.Wait).Add(step.Wait)
			continue
		}
		req := &rlsv3.RateLimitRequest{Domain: first, HitsAddend: step.Hits}
		if step.Domain != "" {
			req.Domain = step.Domain
		}
		for d := range strings.SplitSeq(step.Ask, "; ") {
			req.Descriptors = append(req.Descriptors, parse(t, d))
		}
		for n := range max(step.Times, 1) {
			resp, err := c.ShouldRateLimit(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			got := said(resp)
			switch {
			case n+1 == max(step.Times, 1):
				if got != step.Want {
					t.Fatalf("step %d, %s, time %d:\n got %s\nwant %s", i+1, step.Ask, n+1, got, step.Want)
				}
			case got[:2] != step.Want[:2]: // what remains goes down, the code is the same
				t.Fatalf("step %d, %s, time %d: %s", i+1, step.Ask, n+1, got)
			}
		}
	}
	for limit, results := range sc.Hits {
		for result, want := range results {
			if got := ingesttest.Metric(t, reg, ratelimit.MetricHits, limit, result); got != want {
				t.Errorf("%s of %s: %v; want %v", result, limit, got, want)
			}
		}
	}
}

// parse reads key=value,key=value+addend.
func parse(t *testing.T, s string) *commonv3.RateLimitDescriptor {
	t.Helper()
	d := &commonv3.RateLimitDescriptor{}
	s, addend, ok := strings.Cut(s, "+")
	if ok {
		n, err := strconv.ParseUint(addend, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		d.HitsAddend = wrapperspb.UInt64(n)
	}
	for e := range strings.SplitSeq(s, ",") {
		key, value, ok := strings.Cut(e, "=")
		if !ok {
			t.Fatalf("%q is not key=value", e)
		}
		d.Entries = append(d.Entries, &commonv3.RateLimitDescriptor_Entry{Key: key, Value: value})
	}
	return d
}

// said is an answer in one line.
func said(resp *rlsv3.RateLimitResponse) string {
	var parts []string
	for _, s := range resp.Statuses {
		p := s.Code.String()
		if l := s.CurrentLimit; l != nil {
			if l.Name != "" {
				p += " " + l.Name
			}
			p += fmt.Sprintf(" %d/%s %d", l.RequestsPerUnit, strings.ToLower(l.Unit.String()), s.LimitRemaining)
		} else if s.LimitRemaining > 0 {
			p += fmt.Sprintf(" %d", s.LimitRemaining)
		}
		parts = append(parts, p)
	}
	return resp.OverallCode.String() + ": " + strings.Join(parts, "; ")
}
