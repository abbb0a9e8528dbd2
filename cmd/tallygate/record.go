package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/policy"
)

func newRecordCommand() *cobra.Command {
	var ask asking
	var file string
	opts := policy.RecordOptions{For: 30 * time.Second, Count: 10_000, Share: 1, MaxPerSecond: 500}
	cmd := &cobra.Command{
		Use:   "record",
		Short: "Write live checks of running servers to a file, for policy diff",
		Long: `Record writes the checks that running servers answer as JSON lines, with their
input and their verdict, until --for or --count is reached or it is interrupted.
Nothing of a server waits for it: what cannot be written in time is dropped, and the
last line on standard error says how much.

The values of authorization, proxy-authorization, cookie and x-forwarded-client-cert
are masked, as is what policy.decision_log masks and --mask and --mask-header name.
A policy that reads what is masked is not judged as it was live: policy diff says so.
` + askingHelp + `
Exit codes: 0 something was recorded, 1 a server did not answer, 2 the command line
is wrong, 3 there was nothing to record.`,
		Example: `  tallygate record --for 5m > checks.json
  tallygate record -w checks.json --count 100000 --verdict deny
  tallygate record --entrypoint admin --mask parsed_body.card --mask-header x-api-key -w checks.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(ask.validate(), usageIf(opts.Validate())); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if file != "" {
				f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
				if err != nil {
					return usage(err)
				}
				defer f.Close()
				out = &recording{file: f}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			n, err := record(ctx, &ask, opts, out, cmd.ErrOrStderr())
			if err == nil && n == 0 {
				return &exitError{exitMissing, errors.New("nothing was recorded: no check matched while it went on")}
			}
			return asked(err)
		},
	}
	ask.addTo(cmd)
	f := cmd.Flags()
	f.StringVarP(&file, "write", "w", "", "`file` to write to, readable by its owner only, in place of what it has once there is something; standard output if empty")
	f.DurationVar(&opts.For, "for", opts.For, "how long; at most 1h")
	f.IntVar(&opts.Count, "count", opts.Count, "how many of each server; at most 1000000")
	f.Float64Var(&opts.Share, "share", opts.Share, "share of what matches, above 0 to 1")
	f.IntVar(&opts.MaxPerSecond, "max-per-second", opts.MaxPerSecond, "the most of a server in a second; 0 means no bound")
	f.StringVar(&opts.Entrypoint, "entrypoint", "", "only those of this entrypoint, by the `name` that the decision log has")
	f.StringVar(&opts.Verdict, "verdict", "", "only allow, deny or error")
	f.StringVar(&opts.Rule, "rule", "", "only those that this `rule` decided, as envoy.authz.allow:12")
	f.StringArrayVar(&opts.MaskHeaders, "mask-header", nil, "`name` of a request header to mask too; repeats")
	f.StringArrayVar(&opts.Mask, "mask", nil, "`path` of the input to mask too, as parsed_body.card; repeats")
	return cmd
}

// recording is the file that is written to. What it had is kept until there is a
// line to put in its place.
type recording struct {
	file  *os.File
	begun bool
}

func (r *recording) Write(b []byte) (int, error) {
	if !r.begun {
		r.begun = true
		info, err := r.file.Stat()
		if err == nil && info.Mode().IsRegular() {
			err = r.file.Truncate(0)
		}
		if err != nil {
			return 0, err
		}
	}
	return r.file.Write(b)
}

func usageIf(err error) error {
	if err == nil {
		return nil
	}
	return usage(err)
}

// record records all servers at once and returns how many lines it wrote.
func record(ctx context.Context, ask *asking, opts policy.RecordOptions, out, notes io.Writer) (n int, err error) {
	var mu sync.Mutex // of out, notes, n and err
	var wg sync.WaitGroup
	clients(ctx, ask.servers, ask.cfg, func(name string, c *admin.Client, failed error) {
		if failed != nil {
			err = errors.Join(err, failed)
			return
		}
		wg.Go(func() {
			ended := false
			failed := c.Lines(ctx, recordQuery(&opts), func(line []byte) error {
				mu.Lock()
				defer mu.Unlock()
				if s, ok := summaryOf(line); ok {
					ended = true
					fmt.Fprintf(notes, "%s: %d recorded (%s), %d without their input because it is too large, %d beyond the rate, %d dropped\n",
						name, s.Recorded, s.End, s.TooLarge, s.Skipped, s.Dropped)
					return nil
				}
				n++
				_, err := fmt.Fprintf(out, "%s\n", line)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case ctx.Err() != nil: // that is how it is ended
			case failed == nil && !ended:
				err = errors.Join(err, fmt.Errorf("%s went away during the recording", name))
			case failed != nil:
				err = errors.Join(err, failed)
			}
		})
	})
	wg.Wait()
	return n, err
}

func summaryOf(line []byte) (s policy.RecordSummary, ok bool) {
	if !bytes.HasPrefix(line, []byte(`{"end":`)) {
		return s, false
	}
	return s, json.Unmarshal(line, &s) == nil
}
