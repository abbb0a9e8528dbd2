package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/tallygate/tallygate/test/components/component"
)

const usage = `usage:
  components list             what there is, and what is in the cache
  components fetch NAME...    bring components into the cache ("all" for every one)
  components path PROGRAM     print where a program of the cache is`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "components:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	cache, err := component.Open(stderr)
	if err != nil {
		return err
	}
	switch verb, args := args[0], args[1:]; {
	case verb == "list" && len(args) == 0:
		return list(cache, stdout)
	case verb == "fetch" && len(args) > 0:
		return cache.Fetch(ctx, args...)
	case verb == "path" && len(args) == 1:
		path, err := cache.Path(args[0])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(stdout, path)
		return err
	default:
		return fmt.Errorf("%s %q: %s", verb, args, usage)
	}
}

func list(cache *component.Cache, w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tIN THE CACHE\tFROM")
	for _, c := range component.All() {
		version := "-"
		if in, err := cache.Installed(c.Name); err == nil {
			version = in.Version
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", c.Name, version, c.From)
	}
	return tw.Flush()
}
