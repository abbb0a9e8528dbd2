package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/internal/telemetry"
)

// TestQueryAPI: the spans of entries are found over Jaeger's query API, also after
// the store has changed while running.
func TestQueryAPI(t *testing.T) {
	const yaml = `
exporters: {local: {directory: %q, min_free_bytes: 0}}
spans: {flush_interval: 10ms, sampling: {head: {ratio: 1}}, exporters: [local]}
query: {endpoint: "127.0.0.1:0", store: local}
`
	one, two := t.TempDir(), t.TempDir()
	p := startProc(t, fmt.Sprintf(yaml, one))
	services := func() string {
		_, body := p.get("http://" + p.storing.listener.Addr().String() + "/api/services")
		return body
	}
	e := dialEnvoy(t, p.alsListener.Addr().String(), nil)
	e.mustSend(3, nil)
	p.until("the spans are there", func() bool { return strings.Contains(services(), `"total":1`) })
	if said := p.reload(fmt.Sprintf(yaml, two)); !strings.Contains(said, "Configuration reloaded") {
		t.Fatal(said)
	}
	if got := services(); !strings.Contains(got, `"data":null`) {
		t.Errorf("another directory has %s", got)
	}
	e.mustSend(3, nil)
	p.until("the spans are in the other directory", func() bool { return strings.Contains(services(), `"total":1`) })
	p.cancel()
	if err := p.ended(); err != nil {
		t.Error(err)
	}
}

func TestQueryStore(t *testing.T) {
	f := func(yaml, want string) {
		t.Helper()
		_, err := loadConfig(t.Context(), config.Sources{URIs: []string{"yaml:" + yaml}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", yaml, err, want)
		}
	}
	f(`query: {store: local}`, `query.store: there is no "local" in exporters`)
	f(`{exporters: {debug: {}}, query: {store: debug}}`, `query.store: exporter "debug" has no store that could be read: want one of type local or cassandra`)
	f(`{exporters: {local: {}}, query: {max_traces: 0}}`, `query.max_traces: 0 is not more than 0`)
	f(`{exporters: {local: {ttl: 1s}}}`, `ttl: 1s is less than 1m`)
	f(`{exporters: {cassandra: {schema: {keyspace: "a b"}}}}`, `schema::keyspace: "a b" is not`)
	f(`{exporters: {local: {}}, query: {endpoint: "127.0.0.1:9464"}}`, `query.endpoint: 127.0.0.1:9464 is also that of prometheus.endpoint`)
}

// TestQueryPortTaken: without flags a Jaeger next door keeps nobody from starting.
func TestQueryPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config.DefaultConfig()
	cfg.Query.GetOrInsertDefault().Endpoint = l.Addr().String()
	d := &daemon{log: telemetry.NewLog(cfg.Log, t.Output())}
	d.cfg.Store(&cfg)
	for _, lenient := range []bool{true, false} {
		s, err := newStoring(&cfg, d, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.listen(t.Context(), lenient); (err == nil) != lenient {
			t.Errorf("lenient %v: %v", lenient, err)
		}
		if lenient {
			if err := errors.Join(s.start(&cfg, nil), s.reload(&cfg), s.stop()); err != nil || s.greeting() != "" {
				t.Errorf("one that is left out: %v", err)
			}
		}
	}
}
