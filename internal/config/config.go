package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configoptional"

	promexp "github.com/tallygate/tallygate/exporters/prometheus"
	"github.com/tallygate/tallygate/exporters/push"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/als"
	"github.com/tallygate/tallygate/ingest/extauthz"
	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/tap"
	"github.com/tallygate/tallygate/internal/telemetry"
	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/opa"
	"github.com/tallygate/tallygate/policy/quota"
	"github.com/tallygate/tallygate/policy/quota/descriptors"
	"github.com/tallygate/tallygate/red"
	"github.com/tallygate/tallygate/spans"
	"github.com/tallygate/tallygate/storage/query"
)

// Config is the whole configuration.
type Config struct {
	// Log is what Tallygate writes to standard error.
	Log telemetry.LogConfig `mapstructure:"log"`
	// Planes are the halves that run: policy answers checks, telemetry takes access logs.
	Planes []string `mapstructure:"planes"`
	// Labels are further metric labels, each from an access-log custom tag, which is named like the label unless said otherwise, or from the dynamic metadata of a filter.
	Labels []mesh.CustomLabel `mapstructure:"labels"`
	// Ingest is what proxies connect to.
	Ingest Ingest `mapstructure:"ingest"`
	// RateLimit says which limits Envoy's RateLimitService knows. Without the section it is not served: its listener is not opened.
	RateLimit configoptional.Optional[RateLimit] `mapstructure:"ratelimit"`
	// Policy judges requests. Without the section no check is answered: its listeners are not opened.
	Policy configoptional.Optional[Policy] `mapstructure:"policy"`
	// Quota is where the quotas that decisions name are counted, and what of them is shown.
	Quota quota.Config `mapstructure:"quota"`
	// RED is the table of rate, errors and duration: which families, labels and buckets there are and how many series.
	RED red.Config `mapstructure:"red"`
	// Prometheus is the endpoint /metrics of the mesh's metrics and their books.
	Prometheus Prometheus `mapstructure:"prometheus"`
	// Spans says which requests become spans, and which exporters these go to.
	Spans spans.Config `mapstructure:"spans"`
	// Receivers are OpenTelemetry Collector receivers in the Collector's own YAML, by id, that take the spans of proxies that trace: zipkin, otlp.
	Receivers map[string]any `mapstructure:"receivers"`
	// Extensions are OpenTelemetry Collector extensions that exporters and receivers name, by id: file_storage keeps a queue on disk.
	Extensions map[string]any `mapstructure:"extensions"`
	// Exporters are OpenTelemetry Collector exporters in the Collector's own YAML, by id: otlp, otlphttp, prometheusremotewrite, debug; and ours: jaeger, local.
	Exporters map[string]any `mapstructure:"exporters"`
	// Query serves Jaeger's query API over the spans of a store. Without the section nothing listens.
	Query configoptional.Optional[Query] `mapstructure:"query"`
	// Push sends the mesh's metrics to exporters.
	Push push.Config `mapstructure:"push"`
	// Tap shows single requests to who watches, and keeps the last failures of every edge.
	Tap tap.Config `mapstructure:"tap"`
	// Admin is the endpoint for the people and machines that run Tallygate.
	Admin admin.Config `mapstructure:"admin"`
	// Drain says how long a graceful stop may take.
	Drain Drain `mapstructure:"drain"`
}

// Ingest is the ingest section.
type Ingest struct {
	// ALS takes Envoy's access logs over gRPC.
	ALS ALS `mapstructure:"als"`
	// ExtAuthz answers Envoy's ext_authz over gRPC. It is open if there is a policy section.
	ExtAuthz ExtAuthz `mapstructure:"extauthz"`
	// RateLimit answers Envoy's RateLimitService over gRPC, as envoyproxy/ratelimit does. It is open if there is a ratelimit section.
	RateLimit RateLimitListener `mapstructure:"ratelimit"`
	// ForwardAuth answers Envoy's http_service, nginx' auth_request or Traefik's forwardAuth. Without this section nothing listens; it needs a policy section.
	ForwardAuth configoptional.Optional[ForwardAuth] `mapstructure:"forward_auth"`
}

// ExtAuthz is the ingest.extauthz section: the listener and how checks are
// answered.
type ExtAuthz struct {
	ingest.GRPCConfig `mapstructure:",squash"`
	extauthz.Config   `mapstructure:",squash"`
}

// Validate returns every problem of both parts.
func (c *ExtAuthz) Validate() error {
	return errors.Join(c.GRPCConfig.Validate(), c.Config.Validate())
}

// ForwardAuth is the ingest.forward_auth section: the listener and who may ask
// it how. Failures, deadline and limit are those of ingest.extauthz.
type ForwardAuth struct {
	ingest.HTTPConfig      `mapstructure:",squash"`
	extauthz.ForwardConfig `mapstructure:",squash"`
}

// Validate returns every problem of both parts.
func (c *ForwardAuth) Validate() error {
	return errors.Join(c.HTTPConfig.Validate(), c.ForwardConfig.Validate())
}

// Policy is the policy section: the rules and what is done with what they say.
type Policy struct {
	OPA     opa.Config    `mapstructure:",squash"`
	Decider policy.Config `mapstructure:",squash"`
}

// Validate returns every problem of both parts.
func (c *Policy) Validate() error {
	errs := []error{c.OPA.Validate(), c.Decider.Validate()}
	if slices.Contains(c.Decider.DecisionLog.Sinks, policy.SinkOPA) && c.OPA.OPAConfig == "" {
		errs = append(errs, errors.New("decision_log.sinks: opa needs opa_config with decision_logs"))
	}
	return errors.Join(errs...)
}

// Planes.
const (
	PlanePolicy    = "policy"
	PlaneTelemetry = "telemetry"
)

// RunsPolicy reports whether checks are answered.
func (c *Config) RunsPolicy() bool {
	return c.Policy.HasValue() && slices.Contains(c.Planes, PlanePolicy)
}

// RunsTelemetry reports whether access logs are taken.
func (c *Config) RunsTelemetry() bool { return slices.Contains(c.Planes, PlaneTelemetry) }

// ALS is the ingest.als section: the listener and what is done with the logs.
type ALS struct {
	ingest.GRPCConfig `mapstructure:",squash"`
	als.Config        `mapstructure:",squash"`
}

// Validate returns every problem of both parts.
func (c *ALS) Validate() error { return errors.Join(c.GRPCConfig.Validate(), c.Config.Validate()) }

// Prometheus is the prometheus section: the listener and what it serves.
type Prometheus struct {
	ingest.HTTPConfig `mapstructure:",squash"`
	promexp.Config    `mapstructure:",squash"`
}

// Validate returns every problem of both parts.
func (c *Prometheus) Validate() error {
	return errors.Join(c.HTTPConfig.Validate(), c.Config.Validate())
}

// Query is the query section: the listener and which store it reads.
type Query struct {
	ingest.HTTPConfig `mapstructure:",squash"`
	query.Config      `mapstructure:",squash"`
}

// Validate returns every problem of both parts.
func (c *Query) Validate() error { return errors.Join(c.HTTPConfig.Validate(), c.Config.Validate()) }

// Drain is the drain section.
type Drain struct {
	// Delay is how long listeners serve on after readiness and gRPC health said no, so that whoever balances load over replicas chooses others before the streams are sent away.
	Delay time.Duration `mapstructure:"delay"`
	// Timeout is the longest that streams, and then pushes, may take to finish.
	Timeout time.Duration `mapstructure:"timeout"`
	// FinalScrape is the longest that /metrics waits for one more scrape after the last count. 0 does not wait.
	FinalScrape time.Duration `mapstructure:"final_scrape"`
}

// DefaultConfig returns the configuration that nobody configured: everything on
// loopback.
func DefaultConfig() Config {
	return Config{
		Log:    telemetry.DefaultLogConfig(),
		Planes: []string{PlanePolicy, PlaneTelemetry},
		Ingest: Ingest{
			ALS: ALS{
				GRPCConfig: ingest.DefaultGRPCConfig("127.0.0.1:9001"),
				Config:     als.DefaultConfig(),
			},
			ExtAuthz: ExtAuthz{
				GRPCConfig: defaultExtAuthzListener(),
				Config:     extauthz.DefaultConfig(),
			},
			RateLimit: defaultRateLimitListener(),
			ForwardAuth: configoptional.Default(ForwardAuth{
				HTTPConfig:    ingest.DefaultHTTPConfig("127.0.0.1:9192"),
				ForwardConfig: extauthz.DefaultForwardConfig(),
			}),
		},
		RateLimit: configoptional.Default(RateLimit{Config: descriptors.DefaultConfig()}),
		Policy:    configoptional.Default(Policy{OPA: opa.DefaultConfig(), Decider: policy.DefaultConfig()}),
		Quota:     quota.DefaultConfig(),
		RED:       red.DefaultConfig(),
		Prometheus: Prometheus{
			HTTPConfig: ingest.DefaultHTTPConfig("127.0.0.1:9464"),
			Config:     promexp.DefaultConfig(),
		},
		Spans: spans.DefaultConfig(),
		Query: configoptional.Default(Query{HTTPConfig: ingest.DefaultHTTPConfig("127.0.0.1:16686"), Config: query.DefaultConfig()}),
		Push:  push.DefaultConfig(),
		Tap:   tap.DefaultConfig(),
		Admin: admin.DefaultConfig(),
		Drain: Drain{Timeout: 10 * time.Second, FinalScrape: 20 * time.Second},
	}
}

// defaultExtAuthzListener lets more checks of one connection be under way than
// there would be streams of logs: they are short, and a proxy that has to wait
// for a stream is one that waits for its answer.
func defaultExtAuthzListener() ingest.GRPCConfig {
	c := ingest.DefaultGRPCConfig("127.0.0.1:9191")
	c.MaxConcurrentStreams = 1000
	return c
}

// Validate returns every problem as [Problems].
func (c *Config) Validate() error {
	var ps Problems
	ps.addError("log", c.Log.Validate())
	ps.addError("labels", red.ValidateCustomLabels(c.Labels))
	ps.addError("ingest.als", c.Ingest.ALS.Validate())
	ps.addError("ingest.extauthz", c.Ingest.ExtAuthz.Validate())
	if c.Ingest.ForwardAuth.HasValue() {
		ps.addError("ingest.forward_auth", c.Ingest.ForwardAuth.Get().Validate())
	}
	if c.Policy.HasValue() {
		ps.addError("policy", c.Policy.Get().Validate())
	}
	ps.addError("quota", c.Quota.Validate())
	c.validateRateLimit(&ps)
	c.validatePlanes(&ps)
	ps.addError("red", c.RED.Validate())
	ps.addError("red", c.RED.ValidateLabels(c.Labels))
	ps.addError("prometheus", c.Prometheus.Validate())
	ps.addError("push", c.Push.Validate())
	ps.addError("spans", c.Spans.Validate())
	if c.Query.HasValue() {
		ps.addError("query", c.Query.Get().Validate())
	}
	ps.addError("tap", c.Tap.Validate())
	ps.addError("admin", c.Admin.Validate())
	for i, id := range c.Push.Exporters {
		if _, ok := c.Exporters[id]; !ok {
			ps.add(fmt.Sprintf("push.exporters[%d]", i), "there is no %q in exporters", id)
		}
	}
	for i, id := range c.Spans.Exporters {
		if _, ok := c.Exporters[id]; !ok {
			ps.add(fmt.Sprintf("spans.exporters[%d]", i), "there is no %q in exporters", id)
		}
	}
	if s := c.Spans.Queue.Storage; s != "" {
		if _, ok := c.Extensions[s]; !ok {
			ps.add("spans.queue.storage", "there is no %q in extensions", s)
		}
	}
	if c.Drain.Delay < 0 {
		ps.add("drain.delay", "%s is negative", c.Drain.Delay)
	}
	if c.Drain.Timeout <= 0 {
		ps.add("drain.timeout", "%s is not more than 0", c.Drain.Timeout)
	}
	if c.Drain.FinalScrape < 0 {
		ps.add("drain.final_scrape", "%s is negative", c.Drain.FinalScrape)
	}
	c.validateAddresses(&ps)
	return ps.err()
}

func (c *Config) validatePlanes(ps *Problems) {
	for i, p := range c.Planes {
		if p != PlanePolicy && p != PlaneTelemetry {
			ps.add(fmt.Sprintf("planes[%d]", i), "%q is not one of policy, telemetry", p)
		}
	}
	if !c.RunsPolicy() && !c.RunsRateLimit() && !c.RunsTelemetry() {
		ps.add("planes", "nothing is left to run: telemetry is not listed, and policy is not listed or has no section")
	}
}

// validateAddresses finds listeners that would take each other's place.
func (c *Config) validateAddresses(ps *Problems) {
	taken := map[string]string{}
	type listener struct{ key, address string }
	listeners := []listener{{"admin.endpoint", c.Admin.Endpoint}}
	if c.RunsTelemetry() {
		listeners = []listener{
			{"ingest.als.endpoint", c.Ingest.ALS.Endpoint},
			{"prometheus.endpoint", c.Prometheus.Endpoint},
			{"admin.endpoint", c.Admin.Endpoint},
		}
		if c.Query.HasValue() {
			listeners = append(listeners, listener{"query.endpoint", c.Query.Get().Endpoint})
		}
	}
	if c.RunsPolicy() {
		listeners = append(listeners, listener{"ingest.extauthz.endpoint", c.Ingest.ExtAuthz.Endpoint})
		if f := c.Ingest.ForwardAuth; f.HasValue() {
			listeners = append(listeners, listener{"ingest.forward_auth.endpoint", f.Get().Endpoint})
		}
	}
	if c.RunsRateLimit() {
		listeners = append(listeners, listener{"ingest.ratelimit.endpoint", c.Ingest.RateLimit.Endpoint})
	}
	for _, l := range listeners {
		if strings.HasSuffix(l.address, ":0") || l.address == "" {
			continue
		}
		if other, ok := taken[l.address]; ok {
			ps.add(l.key, "%s is also that of %s", l.address, other)
		}
		taken[l.address] = l.key
	}
}
