package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	quick  bool
	only   string
	out    string
	binary string
	dir    string // of the part that is measured, for its files
}

// part is something that can be measured.
type part struct {
	name    string
	measure func(context.Context, options, *report) error
}

// parts are what can be measured, each with its place in the document.
var parts = []part{
	{"throughput", measureThroughput},
	{"spans", measureSpans},
	{"latency", measureLatency},
	{"scrape", measureScrapes},
	{"headline", measureHeadline},
	{"policy", measurePolicy},
	{"hitrate", measureHitRates},
	{"planes", measurePlanes},
	{"console", measureConsole},
	{"reload", measureReload},
	{"quota", measureQuota},
	{"ratelimit", measureRateLimit},
	{"fleet", measureFleet},
	{"storage", measureStorage},
	{"faults", measureFaults},
}

// run measures p in a directory of its own.
func (p part) run(ctx context.Context, o options) (r *report, err error) {
	if o.dir, err = os.MkdirTemp("", "tallygate-bench-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(o.dir)
	r = &report{part: p.name}
	return r, p.measure(ctx, o, r)
}

func partNames() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "serve" {
		return serveReference(ctx, args[1])
	}
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.BoolVar(&o.quick, "quick", false, "one minute; writes nothing")
	fs.StringVar(&o.only, "only", "", "measure only these, comma-separated: "+strings.Join(partNames(), ", "))
	fs.StringVar(&o.out, "write", "", "the document to write the figures into, each part's when it is measured; none if empty")
	fs.StringVar(&o.binary, "tallygate", "", "binary to measure; built if empty")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	only := slices.DeleteFunc(strings.Split(o.only, ","), func(name string) bool { return name == "" })
	for _, name := range only {
		if !slices.Contains(partNames(), name) {
			return fmt.Errorf("-only: %q is none of %s", name, strings.Join(partNames(), ", "))
		}
	}
	if o.binary == "" {
		dir, err := os.MkdirTemp("", "tallygate-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if o.binary, err = build(ctx, dir); err != nil {
			return err
		}
	}
	began := time.Now()
	var missed []error
	for _, part := range parts {
		if len(only) > 0 && !slices.Contains(only, part.name) {
			continue
		}
		progress("-- %s", part.name)
		r, err := part.run(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Print(r.markdown())
		if o.out != "" && !o.quick {
			if err := r.write(o.out); err != nil {
				return err
			}
		}
		missed = append(missed, r.verdict())
	}
	progress("-- took %s", time.Since(began).Round(time.Second))
	return errors.Join(missed...)
}

// serveReference is the server of a reference, as a process of its own.
func serveReference(ctx context.Context, name string) error {
	if strings.HasPrefix(name, "check-") {
		r, err := newCheckReference(ctx, name)
		if err != nil {
			return err
		}
		return r.run(ctx, os.Stdout)
	}
	if name == limitBare {
		return new(limitReference).run(ctx, os.Stdout)
	}
	r, err := newReference(name)
	if err != nil {
		return err
	}
	return r.run(ctx, os.Stdout)
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
