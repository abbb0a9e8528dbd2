package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"
)

// cannotRun are the commands of the docs that no test runs, by how they begin.
var cannotRun = map[string]string{
	"make ":                 "CI runs them; here they are looked up in the Makefile",
	"GF_PATHS_PROVISIONING": "Grafana is not among the programs that tests can fetch; what it is given is checked in dashboards",
	"docker run":            "neither are containers",
	"tallygate trace ":      "they ask for traces that this instance does not have, or ask for ever; trace_test.go runs them; here their flags are looked up",
}

// readDocs returns every page that people read, by its path below the root.
func readDocs(t *testing.T) map[string]string {
	t.Helper()
	root := os.DirFS("../..")
	out := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*.md", "examples/*/*.md"} {
		names, err := fs.Glob(root, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(root, name)
			if err != nil {
				t.Fatal(err)
			}
			out[name] = string(text)
		}
	}
	return out
}

var (
	consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```")
	comment      = regexp.MustCompile(`\s+#.*$`)
)

// consoleLines are the commands of a page: what follows "$ " in its console
// blocks.
func consoleLines(page string) (lines []string) {
	for _, block := range consoleBlock.FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(block[1]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				lines = append(lines, comment.ReplaceAllString(strings.TrimSpace(command), ""))
			}
		}
	}
	return lines
}

// TestDocs runs every command of README and docs, page by page and each page in
// a directory of its own, against an instance that runs.
func TestDocs(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	_, admin, log := startProcess(t, "--set", "drain.final_scrape=0s", "--set", "red.zero_for=0s", "--set", "admin.token_file="+token)
	address := func(name string) string {
		m := regexp.MustCompile(`\b` + name + `=(\S+)`).FindStringSubmatch(log.String())
		if m == nil {
			t.Fatalf("no address of %s in\n%s", name, log)
		}
		return m[1]
	}
	envoy := dialEnvoy(t, address("als"), nil)
	envoy.mustSend(5, nil)
	ran := 0
	for name, page := range readDocs(t) {
		sh := newShell(t, admin, token, address("ext_authz"))
		for _, line := range consoleLines(page) {
			switch reason := cannot(line); {
			case strings.HasPrefix(line, "make "):
				target := strings.Fields(line)[1]
				if !bytes.Contains(makefile, []byte("\n"+target+":")) {
					t.Errorf("%s: %s: the Makefile has no target %s", name, line, target)
				}
			case strings.HasPrefix(line, "tallygate ") && reason != "":
				for _, problem := range unknownCommand(strings.TrimPrefix(line, "tallygate ")) {
					t.Errorf("%s: %s: %s", name, line, problem)
				}
			case reason == "":
				ran++
				sh.run(name, line)
			}
		}
	}
	if ran < 10 {
		t.Errorf("only %d commands ran", ran)
	}
	t.Logf("%d commands ran", ran)
}

func cannot(line string) string {
	for prefix, reason := range cannotRun {
		if strings.HasPrefix(line, prefix) {
			return reason
		}
	}
	return ""
}

// shell is a directory with the examples in it, where tallygate is this program
// and asks the instance of the test where the docs mean the one on the default
// ports.
type shell struct {
	t   *testing.T
	dir string
	env []string
}

const wrapper = `#!/bin/sh
case "$1" in
console | doctor | edges | stat | top | tap | record) exec %[1]q "$@" --server %[2]s --token-file %[4]q ;;
check) exec %[1]q "$@" --target %[3]s ;;
serve) shift; exec %[1]q serve --set drain.final_scrape=0s --set ingest.als.endpoint=127.0.0.1:0 --set prometheus.endpoint=127.0.0.1:0 \
	--set admin.endpoint=127.0.0.1:0 --set ingest.extauthz.endpoint=127.0.0.1:0 --set ingest.forward_auth.endpoint=127.0.0.1:0 \
	--set receivers.zipkin.endpoint=127.0.0.1:0 --set receivers.otlp/grpc.protocols.grpc.endpoint=127.0.0.1:0 \
	--set receivers.otlp/http.protocols.http.endpoint=127.0.0.1:0 --set query.endpoint=127.0.0.1:0 --set ingest.ratelimit.endpoint=127.0.0.1:0 "$@" ;;
*) exec %[1]q "$@" ;;
esac
`

func newShell(t *testing.T, admin, token, checks string) *shell {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{t: t, dir: t.TempDir()}
	bin := filepath.Join(s.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "tallygate"), fmt.Appendf(nil, wrapper, exe, admin, checks, token), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "examples"), filepath.Join(s.dir, "examples")); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), runAsTallygate+"=1", "XDG_DATA_HOME="+s.dir, "PATH="+bin+":"+os.Getenv("PATH"))
	for _, kv := range command(t).Env {
		if strings.HasPrefix(kv, "XDG_RUNTIME_DIR=") {
			s.env = append(s.env, kv)
		}
	}
	return s
}

// run runs a line as a reader would. A server is ended once it listens; what
// finds something missing or denied has done its work.
func (s *shell) run(page, line string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*testWait) // none goes on for ever
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+line)
	cmd.Dir, cmd.Env = s.dir, s.env
	out := &safeBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if regexp.MustCompile(`tallygate serve\b`).MatchString(line) {
		s.t.Cleanup(func() {
			if s.t.Failed() {
				s.t.Logf("%s: %s\n%s", page, line, out)
			}
		})
		until(s.t, page+": "+line+" listens", func() bool { return strings.Contains(out.String(), "Listening") })
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			s.t.Error(err)
		}
	}
	if code := exitCode(cmd.Wait()); code != 0 && code != exitMissing {
		s.t.Errorf("%s: %s: exit code %d\n%s", page, line, code, out)
	}
}

var inlineCommand = regexp.MustCompile("`tallygate ([a-z][^`]*)`")

// TestDocsNameCommands: what is named in running text exists, with its flags.
func TestDocsNameCommands(t *testing.T) {
	found := 0
	for name, page := range readDocs(t) {
		for _, m := range inlineCommand.FindAllStringSubmatch(page, -1) {
			found++
			for _, problem := range unknownCommand(m[1]) {
				t.Errorf("%s: `tallygate %s`: %s", name, m[1], problem)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands are named", found)
	}
}

var flagName = regexp.MustCompile(`(^|[\s\[])--?([a-z][a-z-]*)`)

// unknownCommand says what a command line names that there is not. Alternatives
// are written a | b, what can be left out in brackets.
func unknownCommand(line string) (problems []string) {
	words := strings.Fields(line)
	cmd, rest, err := newRootCommand().Find(words)
	if err != nil || cmd.Parent() == nil {
		return []string{"there is no such command"}
	}
	if cmd.HasSubCommands() && len(rest) > 0 && regexp.MustCompile(`^[a-z]+$`).MatchString(rest[0]) && !strings.Contains(line, "|") {
		if sub, _, err := cmd.Find(rest); err != nil || sub == cmd {
			problems = append(problems, "there is no such command")
		}
	}
	if cmd.HasSubCommands() {
		return problems
	}
	cmd.InitDefaultHelpFlag()
	for _, m := range flagName.FindAllStringSubmatch(line, -1) {
		var f *pflag.Flag
		if len(m[2]) == 1 {
			f = cmd.Flags().ShorthandLookup(m[2])
		} else {
			f = cmd.Flags().Lookup(m[2])
		}
		if f == nil {
			problems = append(problems, "it has no flag "+m[2])
		}
	}
	return problems
}
