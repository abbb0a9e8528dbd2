package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
)

// messagesMetric counts the messages that a reference is done with; Tallygate
// has the count of its latency histogram, which it observes after counting.
const (
	messagesMetric          = "bench_messages_total"
	tallygateMessagesMetric = "tallygate_als_message_latency_seconds_count"
)

// server is a process under measurement.
type server struct {
	name     string
	cmd      *exec.Cmd
	stderr   bytes.Buffer
	target   string // gRPC
	status   string // cheap metrics that say how many messages are done
	messages string // the metric there
	metrics  string // Tallygate's families; empty for a reference
}

func startReference(name string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{name: name, cmd: exec.Command(self, "serve", name), messages: messagesMetric}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%s did not start: %w: %s", name, errors.Join(err, s.stop()), s.stderr.String())
	}
	if err := s.listensAt(line); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// listensAt takes the line with which a reference says its two addresses.
func (s *server) listensAt(line string) error {
	var status string
	if _, err := fmt.Sscan(line, &s.target, &status); err != nil {
		return fmt.Errorf("%s said %q: %w", s.name, line, err)
	}
	s.status = "http://" + status + "/metrics"
	return nil
}

// startTallygate starts binary with ephemeral ports and the given settings. New
// series are shown at once, so that what is sent can be compared with what is
// exposed.
func startTallygate(ctx context.Context, binary string, sets ...string) (*server, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--set", "red.zero_for=0s", "--set", "log.level=warn", "--set", "drain.final_scrape=0s", "--set", "planes=[telemetry]",
		"--set", "ingest.als.endpoint=" + ports[0], "--set", "prometheus.endpoint=" + ports[1], "--set", "admin.endpoint=" + ports[2]}
	for _, set := range append(withoutSpans, sets...) {
		args = append(args, "--set", set)
	}
	s := &server{
		name: "tallygate", cmd: exec.Command(binary, args...), messages: tallygateMessagesMetric,
		target: ports[0], metrics: "http://" + ports[1] + "/metrics", status: "http://" + ports[2] + "/metrics",
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	if err := s.ready(ctx, 0); err != nil {
		return nil, err
	}
	return s, nil
}

// ready waits until the metric that tells of progress is at least that; if that
// takes too long the server is stopped.
func (s *server) ready(ctx context.Context, least float64) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		v, err := envoysim.ReadCounter(ctx, s.status, s.messages)
		if err == nil && v >= least {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("tallygate did not start: %w: %s", errors.Join(ctx.Err(), err, s.stop()), s.stderr.String())
		}
	}
}

func (s *server) start() error {
	s.cmd.Stderr = &s.stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", s.name, err)
	}
	return nil
}

func (s *server) stop() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("stopping %s: %w", s.name, err)
	}
	_ = s.cmd.Wait() // it was killed: that is its exit status
	return nil
}

func (s *server) cpu() (time.Duration, error) { return envoysim.CPUTime(s.cmd.Process.Pid) }

func freePorts(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

// build compiles tallygate as `make build` does.
func build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "tallygate")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "./cmd/tallygate")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building tallygate (in the root of the repository): %w: %s", err, strings.TrimSpace(string(out)))
	}
	return binary, nil
}
