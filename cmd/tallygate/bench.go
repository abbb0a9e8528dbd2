package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/envoysim"
)

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Drive a running Tallygate with simulated proxies",
	}
	cmd.AddCommand(newBenchALSCommand())
	return cmd
}

// benchALS are the flags of bench als.
type benchALS struct {
	profile   envoysim.Profile
	target    string
	metrics   string
	counter   string
	entries   int64
	rate      float64
	pid       int
	waitLimit time.Duration
}

func newBenchALSCommand() *cobra.Command {
	b := benchALS{profile: envoysim.DefaultProfile()}
	cmd := &cobra.Command{
		Use:   "als",
		Short: "Stream access logs and measure how many entries are counted",
		Long: `Als streams access-log entries that were serialised before the clock started,
under flow control, and stops the clock when the server shows in its metrics that
all of them were counted. With --pid it also says what that took of the server's
CPU time; the scrapes that look for the count are in it.

The entries become metrics of workloads that do not exist: do not point it at a
Tallygate that somebody looks at.`,
		Example: `  tallygate bench als
  tallygate bench als --entries 5000000 --tuples 10000 --pid "$(pidof tallygate)"
  tallygate bench als --rate 50000 --grpc 20 --tcp 5`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			return b.run(ctx, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&b.target, "target", "127.0.0.1:9001", "`address` of the access-log service, in plain text")
	f.StringVar(&b.metrics, "metrics", "http://127.0.0.1:9464/metrics", "`URL` of the metrics of the mesh")
	f.StringVar(&b.counter, "counter", "tallygate_red_entries_counted_total", "the `metric` there that counts entries")
	f.Int64Var(&b.entries, "entries", 1_000_000, "entries to send, in whole messages")
	f.Float64Var(&b.rate, "rate", 0, "entries per second; 0 is as fast as the server takes them")
	f.IntVar(&b.pid, "pid", 0, "process of the server, on this machine, whose CPU time is read")
	f.DurationVar(&b.waitLimit, "wait", time.Minute, "how long to wait for the last entry to be counted")
	f.IntVar(&b.profile.Streams, "streams", b.profile.Streams, "proxies, each with a connection")
	f.IntVar(&b.profile.Tuples, "tuples", b.profile.Tuples, "distinct label sets")
	f.IntVar(&b.profile.EntriesPerMessage, "batch", b.profile.EntriesPerMessage, "entries per message")
	f.IntVar(&b.profile.Services, "services", b.profile.Services, "services of the mesh")
	f.StringVar((*string)(&b.profile.Sides), "sides", string(b.profile.Sides), "where the proxies stand: destination, source or both")
	f.IntVar(&b.profile.GRPC, "grpc", 0, "percent of the label sets that are gRPC")
	f.IntVar(&b.profile.TCP, "tcp", 0, "percent of the label sets that are TCP")
	return cmd
}

func (b *benchALS) run(ctx context.Context, out io.Writer) (err error) {
	if err := b.profile.Validate(); err != nil {
		return &exitError{exitUsage, err}
	}
	traffic, err := envoysim.NewTraffic(b.profile)
	if err != nil {
		return err
	}
	counted, err := envoysim.ReadCounter(ctx, b.metrics, b.counter)
	if err != nil {
		return err
	}
	fleet, err := envoysim.Dial(ctx, b.target, traffic)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fleet.Close()) }()
	var cpu time.Duration
	if b.pid != 0 {
		if cpu, err = envoysim.CPUTime(b.pid); err != nil {
			return err
		}
	}
	began := time.Now()
	sent, err := fleet.Send(ctx, b.entries, b.rate)
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, b.waitLimit)
	defer cancel()
	now, err := envoysim.WaitCounter(wait, b.metrics, b.counter, counted+float64(sent.Entries))
	if err != nil {
		return fmt.Errorf("not all of %d entries were counted: %w", sent.Entries, err)
	}
	elapsed := time.Since(began)
	fmt.Fprintf(out, "%d entries of %.0f bytes in %d messages over %d streams, all counted after %s: %.0f entries/s\n",
		sent.Entries, traffic.EntryBytes(), sent.Messages, b.profile.Streams, elapsed.Round(time.Millisecond), float64(sent.Entries)/elapsed.Seconds())
	if more := now - counted - float64(sent.Entries); more > 0 {
		fmt.Fprintf(out, "%.0f more were counted meanwhile: somebody else sends too\n", more)
	}
	if b.rate > 0 {
		fmt.Fprintf(out, "%s behind the rate at worst\n", sent.Late.Round(time.Microsecond))
	}
	if b.pid != 0 {
		after, err := envoysim.CPUTime(b.pid)
		if err != nil {
			return err
		}
		used := after - cpu
		fmt.Fprintf(out, "%s of CPU time: %.0f entries per core-second\n", used, float64(sent.Entries)/used.Seconds())
	}
	return nil
}
