package testbed

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tallygate/tallygate/test/components/component"
)

// Tallygate is a running tallygate serve.
type Tallygate struct {
	*Process
	ALS     string // host:port
	Metrics string // host:port of the mesh's metrics
	Admin   string // host:port
	Config  string // file
	Token   string // file with the token of the admin endpoint

	binary string
	disk   Disk
}

// TallygateConfig says how to run it. Whatever is not said is the default.
type TallygateConfig struct {
	ALS  obj // beside ingest.als.endpoint
	RED  obj // beside red.zero_for
	More obj // other top-level keys

	Admin string // host:port; a free one if empty
	Token string // of the admin endpoint; a new one if empty

	Disk Disk // that it may fill; none if zero
}

// Disk is a file system in memory that only one process sees.
type Disk struct {
	Dir   string // where it is, a directory that exists
	Bytes int64
}

// command is the program on a machine with the disk.
func (d Disk) command(program string, args ...string) (string, []string) {
	if d.Dir == "" {
		return program, args
	}
	const script = `mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"`
	return "unshare", append([]string{
		"--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", strconv.FormatInt(d.Bytes, 10), d.Dir, program,
	}, args...)
}

// Build builds the binary, once per process, and returns where it is.
var Build = sync.OnceValues(func() (string, error) {
	root, err := component.ProjectRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, ".cache", "tallygate")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/tallygate")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building tallygate: %w\n%s", err, out)
	}
	return path, nil
})

// StartTallygate starts the real binary on ports of its own and waits until it
// is ready. A new series is shown at 0 for 1.5 s, which fits a scrape interval
// of one.
func (b *Bed) StartTallygate(ctx context.Context, cfg TallygateConfig) (*Tallygate, error) {
	binary, err := Build()
	if err != nil {
		return nil, err
	}
	t := &Tallygate{binary: binary, disk: cfg.Disk}
	t.Admin = cfg.Admin
	for _, addr := range []*string{&t.ALS, &t.Metrics, &t.Admin} {
		if *addr != "" {
			continue
		}
		if *addr, err = FreeAddr("127.0.0.1"); err != nil {
			return nil, err
		}
	}
	name := b.unique("tallygate-config")
	t.Token = filepath.Join(b.Dir, name+".token")
	config := obj{
		"ingest":     obj{"als": merge(obj{"endpoint": t.ALS}, cfg.ALS)},
		"red":        merge(obj{"zero_for": "1500ms"}, cfg.RED),
		"prometheus": obj{"endpoint": t.Metrics},
		"admin":      obj{"endpoint": t.Admin, "token_file": t.Token},
	}
	if cfg.Token != "" {
		config["admin"] = obj{"endpoint": t.Admin, "token": cfg.Token}
		if err := os.WriteFile(t.Token, []byte(cfg.Token), 0o600); err != nil {
			return nil, err
		}
	}
	text, err := json.MarshalIndent(merge(config, cfg.More), "", "  ")
	if err != nil {
		return nil, err
	}
	t.Config = filepath.Join(b.Dir, name+".yaml")
	if err := os.WriteFile(t.Config, text, 0o644); err != nil {
		return nil, err
	}
	return t, b.Restart(ctx, t)
}

// Restart starts it again with the same configuration, after it has ended. A disk
// of its own is empty again.
func (b *Bed) Restart(ctx context.Context, t *Tallygate) (err error) {
	program, args := t.disk.command(t.binary, "serve", "--config", t.Config)
	if t.Process, err = b.Start(ctx, "tallygate", nil, program, args...); err != nil {
		return err
	}
	b.onClose(t.end)
	return t.until(ctx, "is ready", func(ctx context.Context) error {
		_, err := httpGet(ctx, "http://"+t.Admin+"/readyz")
		return err
	})
}

// end makes it exit when the bed is closed: nobody scrapes any more, so it must
// not wait for a last scrape, which a second signal tells it.
func (t *Tallygate) end() error {
	for range 50 {
		if err := t.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		select {
		case <-t.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
	return t.Kill()
}

// merge puts the keys of over over those of base.
func merge(base, over obj) obj {
	out := obj{}
	for k, v := range base {
		out[k] = v
	}
	for k, v := range over {
		below, ok := out[k].(obj)
		if above, ok2 := v.(obj); ok && ok2 {
			v = merge(below, above)
		}
		out[k] = v
	}
	return out
}

// Run runs a subcommand of the same binary and returns what it printed.
func (t *Tallygate) Run(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, t.binary, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("tallygate %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// Scrape reads the named metrics from /metrics once, as text, by client_golang's
// parser. A scrape of a big mesh is heavy, so the other lines are left unread.
func (t *Tallygate) Scrape(ctx context.Context, names ...string) ([]Series, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Metrics+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var wanted bytes.Buffer
	lines := bufio.NewReaderSize(resp.Body, 1<<20)
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading /metrics: %w", err)
		}
		name := bytes.TrimPrefix(line, []byte("# TYPE "))
		if end := bytes.IndexAny(name, "{ "); end > 0 && slices.Contains(names, string(name[:end])) {
			wanted.Write(line)
		}
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(&wanted)
	if err != nil {
		return nil, fmt.Errorf("parsing /metrics: %w", err)
	}
	var out []Series
	for name, f := range families {
		for _, m := range f.GetMetric() {
			s := Series{Labels: map[string]string{"__name__": name}}
			for _, l := range m.GetLabel() {
				s.Labels[l.GetName()] = l.GetValue()
			}
			switch {
			case m.Counter != nil:
				s.Values = []float64{m.GetCounter().GetValue()}
			case m.Gauge != nil:
				s.Values = []float64{m.GetGauge().GetValue()}
			default:
				return nil, fmt.Errorf("%s is neither a counter nor a gauge", name)
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// Sum adds up the series of a name whose labels are as given, "name=value".
func Sum(series []Series, name string, labels ...string) float64 {
	total := 0.0
next:
	for _, s := range series {
		if s.Labels["__name__"] != name {
			continue
		}
		for _, l := range labels {
			k, v, _ := strings.Cut(l, "=")
			if s.Labels[k] != v {
				continue next
			}
		}
		total += s.Value()
	}
	return total
}
