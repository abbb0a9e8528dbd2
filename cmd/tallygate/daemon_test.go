package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	accesslog "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/internal/telemetry"
)

// TestMain lets the test binary be tallygate itself: see process_test.go.
func TestMain(m *testing.M) {
	if os.Getenv(runAsTallygate) != "" {
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const testWait = 15 * time.Second

// proc is a daemon inside the test.
type proc struct {
	*daemon
	t      *testing.T
	file   string // its configuration
	log    *safeBuffer
	cancel context.CancelFunc
	hup    chan os.Signal
	done   chan error
}

// startProc runs a daemon with the given configuration and free ports.
func startProc(t *testing.T, yaml string, sets ...string) *proc {
	t.Helper()
	p := &proc{t: t, file: filepath.Join(t.TempDir(), "tallygate.yaml"), log: &safeBuffer{}, hup: make(chan os.Signal), done: make(chan error, 1)}
	p.write(yaml)
	src := config.Sources{URIs: []string{"yaml:drain: {final_scrape: 0s}", p.file}, Sets: append([]string{
		"ingest.als.endpoint=127.0.0.1:0", "prometheus.endpoint=127.0.0.1:0", "admin.endpoint=127.0.0.1:0",
		"ingest.extauthz.endpoint=127.0.0.1:0", "ingest.ratelimit.endpoint=127.0.0.1:0", "ingest.forward_auth.endpoint=127.0.0.1:0", "admin.token=0123456789abcdef", "red.zero_for=0s",
	}, sets...)}
	cfg, err := loadConfig(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	p.daemon, err = newDaemon(cfg, src, telemetry.NewLog(cfg.Log, io.MultiWriter(p.log, t.Output())))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() { p.done <- p.run(ctx, p.hup) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-p.done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(testWait):
			t.Error("the daemon does not end")
		}
	})
	return p
}

func (p *proc) write(yaml string) {
	p.t.Helper()
	if err := os.WriteFile(p.file, []byte(yaml), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// ended waits for run and returns its error.
func (p *proc) ended() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		p.done <- nil // for the cleanup
		return err
	case <-time.After(testWait):
		p.t.Fatal("the daemon does not end")
		return nil
	}
}

func (p *proc) get(url string) (int, string) {
	p.t.Helper()
	code, body, err := get(url)
	if err != nil {
		p.t.Fatal(err)
	}
	return code, body
}

func get(url string) (int, string, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	req.Close = true
	req.Header.Set("Authorization", "Bearer 0123456789abcdef")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func (p *proc) metricsURL() string { return "http://" + p.metricsListener.Addr().String() + "/metrics" }
func (p *proc) adminURL(path string) string {
	return "http://" + p.daemon.admin.Addr().String() + path
}

// sum adds the samples with labels whose line begins with the pattern.
func sum(body, pattern string) float64 {
	total := 0.0
	for _, line := range regexp.MustCompile(`(?m)^`+pattern+`.* ([0-9.e+]+)$`).FindAllStringSubmatch(body, -1) {
		v, _ := strconv.ParseFloat(line[1], 64)
		total += v
	}
	return total
}

// requests scrapes and returns the requests that are counted.
func (p *proc) requests() float64 {
	p.t.Helper()
	_, body := p.get(p.metricsURL())
	return sum(body, `istio_requests_total\{`)
}

// own returns one of our own metrics that has no labels.
func (p *proc) own(metric string) float64 {
	p.t.Helper()
	_, body := p.get(p.adminURL("/metrics"))
	m := regexp.MustCompile(`(?m)^` + metric + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		p.t.Fatalf("no %s", metric)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

func (p *proc) until(what string, cond func() bool) {
	p.t.Helper()
	until(p.t, what, cond)
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testWait); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// envoy is a client that streams access logs as Envoy does.
type envoy struct {
	t      *testing.T
	conn   *grpc.ClientConn
	stream grpc.ClientStreamingClient[alsv3.StreamAccessLogsMessage, alsv3.StreamAccessLogsResponse]
	named  bool
}

func dialEnvoy(t *testing.T, addr string, creds credentials.TransportCredentials) *envoy {
	t.Helper()
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &envoy{t: t, conn: conn}
}

func (e *envoy) open() error {
	stream, err := alsv3.NewAccessLogServiceClient(e.conn).StreamAccessLogs(context.Background())
	e.stream, e.named = stream, false
	return err
}

// send sends n requests in one message.
func (e *envoy) send(n int, tags map[string]string) error {
	if e.stream == nil {
		if err := e.open(); err != nil {
			return err
		}
	}
	logs := &alsv3.StreamAccessLogsMessage_HTTPAccessLogEntries{}
	for i := range n {
		all := map[string]string{"reporter": "destination", "source_workload": "a", "destination_service": "b.default.svc.cluster.local"}
		for k, v := range tags {
			all[k] = v
		}
		logs.LogEntry = append(logs.LogEntry, &accesslog.HTTPAccessLogEntry{
			CommonProperties: &accesslog.AccessLogCommon{
				StartTime: timestamppb.Now(), Duration: durationpb.New(3 * time.Millisecond),
				StreamId: fmt.Sprint(i), CustomTags: all,
			},
			Request:  &accesslog.HTTPRequestProperties{RequestMethod: core.RequestMethod_GET, Authority: "b", Path: "/"},
			Response: &accesslog.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(200)},
		})
	}
	m := &alsv3.StreamAccessLogsMessage{LogEntries: &alsv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: logs}}
	if !e.named {
		e.named = true
		m.Identifier = &alsv3.StreamAccessLogsMessage_Identifier{LogName: "test", Node: &core.Node{Id: "b-1", Cluster: "b.default"}}
	}
	return e.stream.Send(m)
}

func (e *envoy) mustSend(n int, tags map[string]string) {
	e.t.Helper()
	if err := e.send(n, tags); err != nil {
		e.t.Fatal(err)
	}
}

// safeBuffer is a log that is read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
