package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
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
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "serve" {
		return serveReference(ctx, args[1])
	}
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.BoolVar(&o.quick, "quick", false, "one minute; writes nothing")
	fs.StringVar(&o.only, "only", "", "throughput, spans, latency, scrape, headline, policy, ratelimit, hitrate, quota, fleet, planes or reload; writes nothing")
	fs.StringVar(&o.out, "write", "docs/benchmarks.md", "the document to write the figures into")
	fs.StringVar(&o.binary, "tallygate", "", "binary to measure; built if empty")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
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
	r := &report{quick: o.quick}
	began := time.Now()
	for _, part := range []struct {
		name    string
		measure func(context.Context, options, *report) error
	}{
		{"throughput", measureThroughput},
		{"spans", measureSpans},
		{"latency", measureLatency},
		{"scrape", measureScrapes},
		{"headline", measureHeadline},
		{"policy", measurePolicy},
		{"ratelimit", measureRateLimit},
		{"hitrate", measureHitRates},
		{"quota", measureQuota},
		{"fleet", measureFleet},
		{"planes", measurePlanes},
		{"reload", measureReload},
	} {
		if o.only != "" && o.only != part.name {
			continue
		}
		progress("-- %s", part.name)
		if err := part.measure(ctx, o, r); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	progress("-- took %s", time.Since(began).Round(time.Second))
	fmt.Print(r.markdown())
	if !o.quick && o.only == "" {
		if err := r.write(o.out); err != nil {
			return err
		}
	}
	return r.verdict()
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
