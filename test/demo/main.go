package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tallygate/tallygate/dashboards"
	"github.com/tallygate/tallygate/test/testbed"
)

type options struct {
	length time.Duration // 0: until interrupted
	check  bool
	rate   int // requests of the driver per second
}

func main() {
	var opts options
	flag.DurationVar(&opts.length, "for", 0, "end after this time; 0 is until Ctrl-C")
	flag.BoolVar(&opts.check, "check", false, "fail if the table at the end lacks a row that must be there")
	flag.IntVar(&opts.rate, "rate", 60, "requests per second of the driver")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opts, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run starts the picture, left to right, and shows it:
//
//	driver ─▶ client ─mTLS─▶ frontend ─mTLS─▶ backend      each beside an Envoy
//	             └──────────────┴─ access logs, checks ┴──▶ tallygate ◀─ Prometheus ◀─ table
func run(ctx context.Context, opts options, out io.Writer) (err error) {
	if opts.check && opts.length == 0 {
		return errors.New("-check needs -for: it looks at the table at the end")
	}
	dir, err := os.MkdirTemp("", "tallygate-demo")
	if err != nil {
		return err
	}
	bed, err := testbed.New(dir)
	if err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(out, "stopping everything")
		err = errors.Join(err, bed.Close())
		if err == nil {
			err = os.RemoveAll(dir)
		} else {
			fmt.Fprintln(out, "the logs are in", dir)
		}
	}()
	p, err := start(ctx, bed, out)
	if err != nil {
		return err
	}
	if opts.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opts.length)
		defer cancel()
	}
	driven := make(chan error, 1)
	go func() {
		_, err := p.driver.Steady(ctx, opts.rate)
		driven <- err
	}()
	go p.driver.Ask(ctx, 2, testbed.HostFrontend, "/admin/keys") // which the policy denies
	rows := show(ctx, p.prometheus, newScreen(out))
	if err := <-driven; err != nil {
		return fmt.Errorf("driving: %w", err)
	}
	if opts.check {
		return check(rows)
	}
	return nil
}

// picture is what the demo runs.
type picture struct {
	driver     *testbed.Driver
	prometheus *testbed.Prometheus
}

func start(ctx context.Context, bed *testbed.Bed, out io.Writer) (*picture, error) {
	began := time.Now()
	step := func(format string, args ...any) {
		fmt.Fprintf(out, "%5.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	step("building tallygate")
	if _, err := testbed.Build(); err != nil {
		return nil, err
	}
	checks, err := testbed.FreeAddr("127.0.0.1")
	if err != nil {
		return nil, err
	}
	cfg, err := policed(bed.Dir, checks)
	if err != nil {
		return nil, err
	}
	tg, err := bed.StartTallygate(ctx, cfg)
	if err != nil {
		return nil, err
	}
	step("tallygate takes access logs on %s and answers checks on %s", tg.ALS, checks)
	p := new(picture)
	if p.prometheus, err = bed.StartPrometheus(ctx, testbed.PrometheusConfig{
		Targets: []string{tg.Metrics}, Admin: []string{tg.Admin}, Rules: string(dashboards.Rules()), Features: "exemplar-storage",
	}); err != nil {
		return nil, err
	}
	step("Prometheus scrapes it every second and has its rules")
	ca, err := testbed.NewCA(filepath.Join(bed.Dir, "pki"))
	if err != nil {
		return nil, err
	}
	mesh, err := bed.StartMesh(ctx, ca, testbed.MeshConfig{Logs: []string{tg.ALS}, Checks: checks})
	if err != nil {
		return nil, err
	}
	for _, s := range mesh.Sidecars() {
		step("Envoy of %-8s  %s  admin http://%s", s.Workload, s.Identity.URI, s.Admin)
	}
	if p.driver, err = mesh.Driver(); err != nil {
		return nil, err
	}
	grafana, err := exportBoards(bed.Dir, p.prometheus.URL)
	if err != nil {
		return nil, err
	}
	promtool, err := bed.Cache.Path("promtool")
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, `
  metrics of the mesh  http://%s/metrics
  admin of tallygate   http://%s/
  Prometheus           %s   (its API; the package has no web pages)
                       %s query instant %s 'sum by (source_workload, response_code) (rate(istio_requests_total[15s]))'
  boards               %s
                       one of these loads them, with the data source, into a Grafana of yours (http://localhost:3000):
                       docker run --network host -v %[6]s:%[6]s -e GF_PATHS_PROVISIONING=%[6]s/provisioning grafana/grafana
                       GF_PATHS_PROVISIONING=%[6]s/provisioning grafana server --homepath /usr/share/grafana

`, tg.Metrics, tg.Admin, p.prometheus.URL, promtool, p.prometheus.URL, grafana)
	return p, nil
}
