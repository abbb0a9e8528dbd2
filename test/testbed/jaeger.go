package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Jaeger is a running Jaeger with its spans in memory.
type Jaeger struct {
	*Process
	URL  string // query API
	OTLP string // host:port, gRPC

	ThriftHTTP string // host:port of /api/traces
	ThriftUDP  string // host:port, compact
}

// JaegerConfig says what Jaeger reads.
type JaegerConfig struct {
	PrometheusURL string // for the Monitor tab; none if empty
	OTLP          string // where it takes spans; a free port if empty
	Cassandra     string // host:port of CQL, where its spans are instead of in memory
	Keyspace      string // in Cassandra; the schema is there
	QueueWriters  int    // of the exporter that writes; its default if 0
}

// StartJaeger starts a real Jaeger and waits until its query API answers.
func (b *Bed) StartJaeger(ctx context.Context, cfg JaegerConfig) (*Jaeger, error) {
	var addrs [6]string // query, query gRPC, OTLP, health, Thrift over HTTP and UDP
	for i := range addrs {
		var err error
		if addrs[i], err = FreeAddr("127.0.0.1"); err != nil {
			return nil, err
		}
	}
	if cfg.OTLP != "" {
		addrs[2] = cfg.OTLP
	}
	storage := obj{"backends": obj{"memory": obj{"memory": obj{"max_traces": 10000}}}}
	query := obj{
		"storage":        obj{"traces": "memory"},
		"http":           obj{"endpoint": addrs[0]},
		"grpc":           obj{"endpoint": addrs[1]},
		"enable_tracing": false,
	}
	exporter := obj{"trace_storage": "memory"}
	if cfg.Cassandra != "" {
		host, port, err := net.SplitHostPort(cfg.Cassandra)
		if err != nil {
			return nil, err
		}
		storage["backends"] = obj{"memory": obj{"cassandra": obj{
			"schema":     obj{"keyspace": cfg.Keyspace, "create": false},
			"connection": obj{"servers": list{host}, "port": json.Number(port), "tls": obj{"insecure": true}},
		}}}
	}
	if cfg.QueueWriters > 0 {
		exporter["queue"] = obj{"enabled": true, "sizer": "requests", "num_consumers": cfg.QueueWriters, "queue_size": 100_000}
	}
	if cfg.PrometheusURL != "" {
		storage["metric_backends"] = obj{"prometheus": obj{"prometheus": obj{
			"endpoint": cfg.PrometheusURL, "normalize_calls": true, "normalize_duration": true,
		}}}
		query["storage"] = obj{"traces": "memory", "metrics": "prometheus"}
	}
	config := obj{
		"extensions": obj{
			"healthcheckv2":  obj{"use_v2": true, "http": obj{"endpoint": addrs[3]}},
			"jaeger_storage": storage,
			"jaeger_query":   query,
		},
		"receivers": obj{
			"otlp": obj{"protocols": obj{"grpc": obj{"endpoint": addrs[2]}}},
			"jaeger": obj{"protocols": obj{
				"thrift_http": obj{"endpoint": addrs[4]}, "thrift_compact": obj{"endpoint": addrs[5]},
			}},
		},
		"exporters": obj{"jaeger_storage_exporter": exporter},
		"service": obj{
			"extensions": list{"healthcheckv2", "jaeger_storage", "jaeger_query"},
			"pipelines":  obj{"traces": obj{"receivers": list{"otlp", "jaeger"}, "exporters": list{"jaeger_storage_exporter"}}},
			"telemetry":  obj{"metrics": obj{"level": "none"}, "logs": obj{"level": "warn"}},
		},
	}
	name := b.unique("jaeger-config")
	path := filepath.Join(b.Dir, name+".json")
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return nil, err
	}
	j := &Jaeger{URL: "http://" + addrs[0], OTLP: addrs[2], ThriftHTTP: addrs[4], ThriftUDP: addrs[5]}
	if j.Process, err = b.run(ctx, "jaeger", "jaeger", "jaeger", "--config", path); err != nil {
		return nil, err
	}
	return j, j.until(ctx, "answers", func(ctx context.Context) error {
		_, err := httpGet(ctx, j.URL+"/api/services")
		return err
	})
}

// Metrics asks what the Monitor tab asks: calls, errors or latencies of a
// service over the last lookback. It returns how many points hold a value.
func (j *Jaeger) Metrics(ctx context.Context, what, service string, lookback time.Duration) (points int, err error) {
	q := url.Values{
		"service":          {service},
		"groupByOperation": {"true"},
		"lookback":         {fmt.Sprint(lookback.Milliseconds())},
		"step":             {"1000"},
		"ratePer":          {"10000"},
		"spanKind":         {"server", "client"},
	}
	if what == "latencies" {
		q.Set("quantile", "0.95")
	}
	body, err := httpGet(ctx, j.URL+"/api/metrics/"+what+"?"+q.Encode())
	if err != nil {
		return 0, err
	}
	var out struct {
		Metrics []struct {
			MetricPoints []struct {
				GaugeValue struct{ DoubleValue json.RawMessage }
			}
		}
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return 0, fmt.Errorf("reading Jaeger's metrics: %w", err)
	}
	for _, m := range out.Metrics {
		for _, p := range m.MetricPoints {
			if v := string(p.GaugeValue.DoubleValue); v != "" && v != `"NaN"` {
				points++
			}
		}
	}
	return points, nil
}
