package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Prometheus is a running Prometheus.
type Prometheus struct {
	*Process
	URL string

	targets string // file of the scraped addresses
}

// PrometheusConfig says what to scrape.
type PrometheusConfig struct {
	Targets  []string      // host:port of /metrics
	Admin    []string      // host:port of the admin endpoint, whose /metrics is another job
	Interval time.Duration // 1s if 0
	Rules    string        // YAML of recording and alerting rules
	Features string        // --enable-feature
	Receive  bool          // take remote write at /api/v1/write
}

// StartPrometheus starts a real Prometheus and waits until it is ready.
func (b *Bed) StartPrometheus(ctx context.Context, cfg PrometheusConfig) (*Prometheus, error) {
	name := b.unique("prometheus-files")
	dir, err := b.mkdir(name)
	if err != nil {
		return nil, err
	}
	addr, err := FreeAddr("127.0.0.1")
	if err != nil {
		return nil, err
	}
	p := &Prometheus{URL: "http://" + addr, targets: filepath.Join(dir, "targets.json")}
	if err := p.Scrape(cfg.Targets...); err != nil {
		return nil, err
	}
	if cfg.Interval == 0 {
		cfg.Interval = time.Second
	}
	config := obj{
		"global": obj{"scrape_interval": cfg.Interval.String(), "scrape_timeout": cfg.Interval.String(), "evaluation_interval": cfg.Interval.String()},
		"scrape_configs": list{obj{
			"job_name":        "tallygate",
			"file_sd_configs": list{obj{"files": list{p.targets}, "refresh_interval": "1s"}},
		}},
	}
	if len(cfg.Admin) > 0 {
		config["scrape_configs"] = append(config["scrape_configs"].(list), obj{
			"job_name":       "tallygate-admin",
			"static_configs": list{obj{"targets": cfg.Admin}},
		})
	}
	if cfg.Rules != "" {
		rules := filepath.Join(dir, "rules.yaml")
		if err := os.WriteFile(rules, []byte(cfg.Rules), 0o644); err != nil {
			return nil, err
		}
		config["rule_files"] = list{rules}
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return nil, err
	}
	args := []string{"--config.file=" + path, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + addr, "--log.level=warn"}
	if cfg.Features != "" {
		args = append(args, "--enable-feature="+cfg.Features)
	}
	if cfg.Receive {
		args = append(args, "--web.enable-remote-write-receiver")
	}
	if p.Process, err = b.run(ctx, "prometheus", "prometheus", "prometheus", args...); err != nil {
		return nil, err
	}
	return p, p.until(ctx, "is ready", func(ctx context.Context) error {
		_, err := httpGet(ctx, p.URL+"/-/ready")
		return err
	})
}

// Scrape sets the addresses that are scraped.
func (p *Prometheus) Scrape(addrs ...string) error {
	if addrs == nil {
		addrs = []string{}
	}
	b, err := json.Marshal(list{obj{"targets": addrs}})
	if err != nil {
		return err
	}
	next := p.targets + ".next"
	if err := os.WriteFile(next, b, 0o644); err != nil {
		return err
	}
	return os.Rename(next, p.targets)
}

// Series is one result of a query.
type Series struct {
	Labels map[string]string
	Values []float64 // one for an instant vector, in time order for a range
}

// Value returns the last value.
func (s Series) Value() float64 { return s.Values[len(s.Values)-1] }

// Query evaluates an expression now. A scalar is a series without labels.
func (p *Prometheus) Query(ctx context.Context, expr string) ([]Series, error) {
	body, err := httpGet(ctx, p.URL+"/api/v1/query?"+url.Values{"query": {expr}}.Encode())
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, err)
	}
	var out struct {
		Data struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, err)
	}
	if out.Data.ResultType == "scalar" {
		var point sample
		err := json.Unmarshal(out.Data.Result, &point)
		return []Series{{Values: []float64{float64(point)}}}, err
	}
	var series []struct {
		Metric map[string]string
		Value  *sample
		Values []sample
	}
	if err := json.Unmarshal(out.Data.Result, &series); err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, err)
	}
	result := make([]Series, len(series))
	for i, s := range series {
		result[i].Labels = s.Metric
		if s.Value != nil {
			s.Values = []sample{*s.Value}
		}
		for _, v := range s.Values {
			result[i].Values = append(result[i].Values, float64(v))
		}
	}
	return result, nil
}

// sample is [<unix seconds>, "<value>"].
type sample float64

func (s *sample) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &[]any{new(float64), &text}); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	*s = sample(v)
	return err
}

// Counters returns how far every counter series of a selector has come since it
// was first seen, from 0, over restarts of what was scraped. It is all that
// Prometheus holds, so nothing is rounded or extrapolated.
func (p *Prometheus) Counters(ctx context.Context, selector string) ([]Series, error) {
	series, err := p.Query(ctx, selector+"[1h]")
	if err != nil {
		return nil, err
	}
	for i := range series {
		total, last := 0.0, 0.0
		for _, v := range series[i].Values {
			if v < last { // a new process
				last = 0
			}
			total += v - last
			last = v
		}
		series[i].Values = []float64{total}
	}
	return series, nil
}

// Counter returns the sum of [Prometheus.Counters].
func (p *Prometheus) Counter(ctx context.Context, selector string) (float64, error) {
	series, err := p.Counters(ctx, selector)
	sum := 0.0
	for _, s := range series {
		sum += s.Value()
	}
	return sum, err
}

// Requests returns istio_requests_total as the driver counts.
func (p *Prometheus) Requests(ctx context.Context) (Tally, error) {
	series, err := p.Counters(ctx, "istio_requests_total")
	if err != nil {
		return nil, err
	}
	got := Tally{}
	for _, s := range series {
		k := Key{
			Reporter:    s.Labels["reporter"],
			Source:      s.Labels["source_workload"],
			Destination: s.Labels["destination_workload"],
			Service:     s.Labels["destination_service"],
			Protocol:    s.Labels["request_protocol"],
			Code:        s.Labels["response_code"],
			GRPC:        s.Labels["grpc_response_status"],
			Flags:       s.Labels["response_flags"],
		}
		if n := s.Value(); n != 0 {
			if n != math.Trunc(n) {
				return nil, fmt.Errorf("%v of %s", n, k)
			}
			got[k] += int(n)
		}
	}
	return got, nil
}

// Exemplar is one exemplar of a series.
type Exemplar struct {
	Series map[string]string
	Labels map[string]string
	Value  float64
}

// Exemplars returns the exemplars of the last hour of the series of a selector.
func (p *Prometheus) Exemplars(ctx context.Context, selector string) ([]Exemplar, error) {
	now := time.Now().Unix()
	body, err := httpGet(ctx, p.URL+"/api/v1/query_exemplars?"+url.Values{
		"query": {selector}, "start": {fmt.Sprint(now - 3600)}, "end": {fmt.Sprint(now + 60)},
	}.Encode())
	if err != nil {
		return nil, err
	}
	var out struct {
		Data []struct {
			SeriesLabels map[string]string
			Exemplars    []struct {
				Labels map[string]string
				Value  string
			}
		}
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("reading exemplars: %w", err)
	}
	var all []Exemplar
	for _, s := range out.Data {
		for _, e := range s.Exemplars {
			v, err := strconv.ParseFloat(e.Value, 64)
			if err != nil {
				return nil, err
			}
			all = append(all, Exemplar{s.SeriesLabels, e.Labels, v})
		}
	}
	return all, nil
}
