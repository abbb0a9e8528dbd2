package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestCgroupMemoryLimit(t *testing.T) {
	f := func(files map[string]string, want int64, wantOK bool) {
		t.Helper()
		root := fstest.MapFS{}
		for name, content := range files {
			root[name] = &fstest.MapFile{Data: []byte(content)}
		}
		if got, ok := cgroupMemoryLimit(root); got != want || ok != wantOK {
			t.Errorf("cgroupMemoryLimit(%v) = %d, %v; want %d, %v", files, got, ok, want, wantOK)
		}
	}
	const v2 = "0::/kubepods/pod1/c1\n"
	f(map[string]string{}, 0, false)
	f(map[string]string{"proc/self/cgroup": v2}, 0, false)
	f(map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/memory.max": "1048576\n"}, 1<<20, true)
	f(map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/memory.max": "max\n"}, 0, false)
	f(map[string]string{
		"proc/self/cgroup":                              v2,
		"sys/fs/cgroup/kubepods/pod1/c1/memory.max":     "max\n",
		"sys/fs/cgroup/kubepods/pod1/memory.max":        "2097152\n",
		"sys/fs/cgroup/kubepods/memory.max":             "4194304\n",
		"sys/fs/cgroup/kubepods/pod2/memory.max":        "1\n",
		"sys/fs/cgroup/memory/kubepods/pod1/memory.max": "1\n",
	}, 2<<20, true)
	f(map[string]string{"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/memory.max": "1048576\n"}, 1<<20, true)
	const v1 = "5:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n1:name=systemd:/docker/a\n"
	f(map[string]string{"proc/self/cgroup": v1, "sys/fs/cgroup/memory/memory.limit_in_bytes": "1048576\n"}, 1<<20, true)
	f(map[string]string{"proc/self/cgroup": v1, "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0, false)
	f(map[string]string{"proc/self/cgroup": "garbage\n4:memory\n"}, 0, false)
}

func TestLog(t *testing.T) {
	var buf bytes.Buffer
	l := NewLog(LogConfig{Level: "warn", Format: "json"}, &buf)
	l.Info("hidden")
	l.SetLevel(LogConfig{Level: "debug"})
	l.Debug("shown", "n", 1)
	var line map[string]any
	if err := json.Unmarshal(buf.Bytes(), &line); err != nil {
		t.Fatalf("%q: %v", buf.String(), err)
	}
	if line["msg"] != "shown" || line["n"] != 1.0 {
		t.Errorf("log line %v", line)
	}
}

func TestLogConfigValidate(t *testing.T) {
	f := func(c LogConfig, want ...string) {
		t.Helper()
		err := c.Validate()
		if (err != nil) != (len(want) > 0) {
			t.Fatalf("%+v: error %v, want %q", c, err, want)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%+v: error %q, want %q in it", c, err, w)
			}
		}
	}
	f(DefaultLogConfig())
	f(LogConfig{Level: "loud", Format: "xml"}, `level: "loud"`, `format: "xml"`)
}

func TestReloads(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := NewReloads(reg)
	f := func(want float64) {
		t.Helper()
		if got := testutil.ToFloat64(r.success); got != want {
			t.Errorf("tallygate_config_last_reload_success = %v; want %v", got, want)
		}
	}
	f(1)
	r.Record(errors.New("bad"))
	f(0)
	r.Record(nil)
	f(1)
	if got := testutil.ToFloat64(r.total.WithLabelValues("failure")); got != 1 {
		t.Errorf("failures = %v; want 1", got)
	}
}

func TestRegistryHasBuild(t *testing.T) {
	families, err := NewRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	all := strings.Join(names, " ")
	for _, want := range []string{"tallygate_build_info", "go_goroutines", "process_cpu_seconds_total"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in the registry", want)
		}
	}
}
