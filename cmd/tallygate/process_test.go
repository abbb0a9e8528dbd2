package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runAsTallygate makes the test binary run main.
const runAsTallygate = "TALLYGATE_TEST_RUN_MAIN"

// command is tallygate as a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), runAsTallygate+"=1", "XDG_RUNTIME_DIR="+t.TempDir())
	return cmd
}

// startProcess runs serve and waits until it listens.
func startProcess(t *testing.T, args ...string) (cmd *exec.Cmd, admin string, log *safeBuffer) {
	t.Helper()
	log = &safeBuffer{}
	cmd = command(t, append([]string{
		"serve", "--set", "ingest.als.endpoint=127.0.0.1:0", "--set", "prometheus.endpoint=127.0.0.1:0", "--set", "admin.endpoint=127.0.0.1:0",
		"--set", "ingest.extauthz.endpoint=127.0.0.1:0", "--set", "ingest.ratelimit.endpoint=127.0.0.1:0", "--set", "ingest.forward_auth.endpoint=127.0.0.1:0",
	}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(cmd.Environ(), "XDG_DATA_HOME="+t.TempDir()) // the store of spans
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	address := regexp.MustCompile(`admin=(\S+)`)
	until(t, "serve listens", func() bool { return address.MatchString(log.String()) })
	return cmd, address.FindStringSubmatch(log.String())[1], log
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	return -1
}

func TestProcessStops(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd, _, log := startProcess(t)
		until(t, "without --config it says where to point what", func() bool { return strings.Contains(log.String(), "is up.") })
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if code := exitCode(cmd.Wait()); code != 0 {
			t.Errorf("exit code %d after %s; want 0\n%s", code, signal, log)
		}
		if !strings.Contains(log.String(), "Drained") {
			t.Errorf("no drain after %s:\n%s", signal, log)
		}
	}
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	cmd, _, log := startProcess(t, "--set", "drain.timeout=1h", "--set", "drain.final_scrape=1h")
	als := regexp.MustCompile(`als=(\S+)`).FindStringSubmatch(log.String())[1]
	metrics := regexp.MustCompile(`metrics=(\S+)`).FindStringSubmatch(log.String())[1]
	dialEnvoy(t, als, nil).mustSend(1, nil)
	if _, _, err := get("http://" + metrics + "/metrics"); err != nil { // so that it waits for the last scrape
		t.Fatal(err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Process.Signal(syscall.SIGTERM) // timeout(1) and terminals send it twice
	until(t, "it drains", func() bool { return strings.Contains(log.String(), "Streams have ended") })
	time.Sleep(sameSignal)
	cmd.Process.Signal(syscall.SIGTERM)
	if code := exitCode(cmd.Wait()); code != exitFailed {
		t.Errorf("exit code %d; want %d", code, exitFailed)
	}
	if !strings.Contains(log.String(), "Exiting at once") {
		t.Errorf("log:\n%s", log)
	}
}

func TestProcessReloads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tallygate.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log: {level: info}")
	cmd, admin, log := startProcess(t, "--config", file)
	f := func(text, wantLog, wantMetric string) {
		t.Helper()
		write(text)
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		until(t, wantLog, func() bool { return strings.Contains(log.String(), wantLog) })
		if _, body, err := get("http://" + admin + "/metrics"); err != nil || !strings.Contains(body, wantMetric) {
			t.Errorf("no %s after %s: %v", wantMetric, text, err)
		}
	}
	f("log: {level: loud}", "Reload refused", "tallygate_config_last_reload_success 0")
	f("log: {level: info, format: json}", "needs restart: log.format", "tallygate_config_last_reload_success 0")
	f("log: {level: debug}", "Configuration reloaded", "tallygate_config_last_reload_success 1")
	cmd.Process.Signal(syscall.SIGTERM)
	if code := exitCode(cmd.Wait()); code != 0 {
		t.Errorf("exit code %d; want 0", code)
	}
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	fresh := filepath.Join(dir, "tallygate.yaml")
	f := func(wantCode int, want string, args ...string) {
		t.Helper()
		out, err := command(t, args...).CombinedOutput()
		if code := exitCode(err); code != wantCode || !strings.Contains(string(out), want) {
			t.Errorf("tallygate %s: exit code %d\n%s\nwant %d and %q", strings.Join(args, " "), code, out, wantCode, want)
		}
	}
	f(0, "Exit codes: 0 all is well", "--help")
	f(0, "tallygate serve --config base.yaml --config site.yaml", "serve", "--help")
	f(2, "unknown flag: --nope; see tallygate serve --help", "serve", "--nope")
	f(1, `unknown command "sevre"`, "sevre")

	f(0, "# Tallygate", "config", "init")
	f(0, "", "config", "init", fresh)
	f(2, "exists; it is not overwritten", "config", "init", fresh)
	f(0, "The configuration is valid.", "validate", "--config", fresh)
	f(0, "warning: admin.tls: ", "validate", "--set", "admin.endpoint=0.0.0.0:8282")
	f(2, "log.level: \"loud\" is not one of", "validate", "--config", fresh, "--set", "log.level=loud")
	f(2, "exporters.nope: ", "validate", "--set", "exporters.nope={}")
	f(2, "exporters.otlp: ", "validate", "--set", "exporters.otlp={}")
	f(2, `push.exporters[0]: there is no "otlp" in exporters`, "validate", "--set", "push.exporters=[otlp]")
	f(0, "valid", "validate", "--set", "exporters={debug: {}}", "--set", "push.exporters=[debug]")
	f(2, "log.level", "serve", "--config", fresh, "--set", "log.level=loud")
	f(0, "endpoint: 127.0.0.1:9001", "config", "print", "--config", fresh)
	f(0, `"$schema"`, "config", "schema")
	f(0, "tallygate ", "version")
	f(0, `"go_version"`, "version", "-o", "json")
	f(2, "want text or json", "version", "-o", "xml")

	f(1, "is `tallygate serve` running", "doctor", "--server", "127.0.0.1:1")
	f(2, "want text or json", "doctor", "-o", "xml")
	f(2, "go together", "doctor", "--cert-file", "x")
}

func TestDoctor(t *testing.T) {
	p := startProc(t, "")
	server := p.daemon.admin.Addr().String()
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(wantCode int, wants []string, args ...string) {
		t.Helper()
		cmd := command(t, append([]string{"doctor", "--server", server}, args...)...)
		out, err := cmd.CombinedOutput()
		if code := exitCode(err); code != wantCode {
			t.Errorf("doctor %v: exit code %d; want %d\n%s", args, code, wantCode, out)
		}
		for _, want := range wants {
			if !strings.Contains(string(out), want) {
				t.Errorf("doctor %v: no %q in\n%s", args, want, out)
			}
		}
	}
	f(exitFailed, []string{"401 Unauthorized"})
	f(exitMissing, []string{"No proxy streams access logs here"}, "--token-file", tokenFile)
	e := dialEnvoy(t, p.alsListener.Addr().String(), nil)
	e.mustSend(5, nil)
	p.until("the entries are counted", func() bool { return p.requests() == 5 })
	f(exitMissing, []string{"NODE", "b-1", "1 ", "MISSING trace id", `{tag: trace_id, value: "%TRACE_ID%"}`}, "--token-file", tokenFile)
	f(exitMissing, []string{`"node": "b-1"`, `"entries": 5`}, "--token-file", tokenFile, "-o", "json")
	if _, err := e.stream.CloseAndRecv(); err != nil && err != io.EOF {
		t.Log(err)
	}
}
