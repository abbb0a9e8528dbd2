package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tallygate/tallygate/storage/query"
)

func newTraceCommand() *cobra.Command {
	var c traceClient
	var output string
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Show traces in the terminal, from Tallygate's or Jaeger's query API",
		Long: `Trace asks a query API of Jaeger's kind, which Tallygate serves over its own store
of spans, and draws traces as waterfalls.

Exit codes: 0 all is well, 1 nothing was found or the server did not answer, 2 the
command line is wrong.`,
		Example: `  tallygate trace find --service cart.shop
  tallygate trace get 4bf92f3577b34da6a3ce929d0e0e4736
  tallygate trace follow --service cart.shop --tag error=true`,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if output != "text" && output != "json" {
				return &exitError{exitUsage, fmt.Errorf("-o %s: want text or json", output)}
			}
			return c.check()
		},
	}
	f := cmd.PersistentFlags()
	f.StringVar(&c.server, "server", "http://127.0.0.1:16686", "`URL` of the query API")
	f.DurationVar(&c.timeout, "timeout", 30*time.Second, "longest time that an answer may take")
	f.StringVar(&c.caFile, "ca-file", "", "`file` with the authorities that verify the server")
	f.StringVar(&c.certFile, "cert-file", "", "`file` with a client certificate")
	f.StringVar(&c.keyFile, "key-file", "", "`file` with the key of --cert-file")
	f.StringVarP(&output, "output", "o", "text", "text or json")
	cmd.AddCommand(newTraceGetCommand(&c, &output), newTraceFindCommand(&c, &output), newTraceFollowCommand(&c, &output))
	return cmd
}

func newTraceGetCommand(c *traceClient, output *string) *cobra.Command {
	var tags bool
	cmd := &cobra.Command{
		Use:   "get <trace id>...",
		Short: "Draw traces by their ids",
		Example: `  tallygate trace get 4bf92f3577b34da6a3ce929d0e0e4736
  tallygate trace get --tags 4bf92f3577b34da6a3ce929d0e0e4736 | less -R
  tallygate trace get -o json 4bf92f3577b34da6a3ce929d0e0e4736 | jq '.spans[].operationName'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			var errs []error
			for _, id := range ids {
				found, err := c.traces(cmd.Context(), "/api/traces/"+url.PathEscape(id), nil)
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", id, err))
				}
				for i := range found {
					if err := printTrace(cmd.OutOrStdout(), &found[i], *output, tags); err != nil {
						return err
					}
				}
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().BoolVar(&tags, "tags", false, "show the tags and events of every span")
	return cmd
}

// traceQuery is what find and follow search for.
type traceQuery struct {
	service, operation string
	tags               []string
	min, max           time.Duration
	lookback           time.Duration
	limit              int
}

func (q *traceQuery) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&q.service, "service", "s", "", "`name` of a service of the trace; without it those of all services")
	f.StringVar(&q.operation, "operation", "", "`name` of a span of that service")
	f.StringArrayVarP(&q.tags, "tag", "t", nil, "`key=value` of that span; repeats")
	f.DurationVar(&q.min, "min-duration", 0, "least duration of that span")
	f.DurationVar(&q.max, "max-duration", 0, "greatest duration of that span")
	f.DurationVar(&q.lookback, "lookback", time.Hour, "how far back to look")
	f.IntVar(&q.limit, "limit", 20, "most traces of a service")
}

// values are the parameters for one service.
func (q *traceQuery) values(service string, from, to time.Time) (url.Values, error) {
	v := url.Values{
		"service": {service},
		"start":   {strconv.FormatInt(from.UnixMicro(), 10)},
		"end":     {strconv.FormatInt(to.UnixMicro(), 10)},
		"limit":   {strconv.Itoa(q.limit)},
	}
	set := func(key, value string, is bool) {
		if is {
			v.Set(key, value)
		}
	}
	set("operation", q.operation, q.operation != "")
	set("minDuration", q.min.String(), q.min != 0)
	set("maxDuration", q.max.String(), q.max != 0)
	tags := map[string]string{}
	for _, t := range q.tags {
		key, value, ok := cutTag(t)
		if !ok {
			return nil, &exitError{exitUsage, fmt.Errorf("--tag %s: want key=value", t)}
		}
		tags[key] = value
	}
	if len(tags) > 0 {
		text, err := json.Marshal(tags)
		if err != nil {
			return nil, err
		}
		v.Set("tags", string(text))
	}
	return v, nil
}

func newTraceFindCommand(c *traceClient, output *string) *cobra.Command {
	var q traceQuery
	var draw bool
	cmd := &cobra.Command{
		Use:   "find",
		Short: "List traces by service, operation, tags and duration",
		Example: `  tallygate trace find --service cart.shop --tag http.response.status_code=503
  tallygate trace find --min-duration 500ms --lookback 10m
  tallygate trace find --service cart.shop --draw --limit 1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			found, err := c.find(cmd.Context(), &q, now.Add(-q.lookback), now)
			if err != nil {
				return err
			}
			if len(found) == 0 {
				return fmt.Errorf("no trace of the last %s is like that", q.lookback)
			}
			w := cmd.OutOrStdout()
			if *output == "json" || draw {
				for i := range found {
					if err := printTrace(w, &found[i], *output, false); err != nil {
						return err
					}
				}
				return nil
			}
			return printTraceList(w, found, true)
		},
	}
	q.flags(cmd)
	cmd.Flags().BoolVar(&draw, "draw", false, "draw each trace")
	return cmd
}

func newTraceFollowCommand(c *traceClient, output *string) *cobra.Command {
	var q traceQuery
	var draw bool
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "follow",
		Short: "Print traces as they come, until Ctrl-C",
		Long: `Follow asks every --interval for traces that it has not shown and prints them. A
trace is shown when its first spans are there: what comes later is not.`,
		Example: `  tallygate trace follow
  tallygate trace follow --service cart.shop --tag error=true --draw
  tallygate trace follow -o json | jq -r .traceID`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every <= 0 {
				return &exitError{exitUsage, fmt.Errorf("--interval %s is not more than 0", every)}
			}
			return follow(cmd.Context(), c, &q, every, func(fresh []query.Trace, first bool) error {
				w := cmd.OutOrStdout()
				if *output != "json" && !draw {
					return printTraceList(w, fresh, first)
				}
				for i := range fresh {
					if err := printTrace(w, &fresh[i], *output, false); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	q.flags(cmd)
	cmd.Flags().BoolVar(&draw, "draw", false, "draw each trace")
	cmd.Flags().DurationVar(&every, "interval", 2*time.Second, "how often to ask")
	return cmd
}

// follow hands traces that are new to show, oldest first, until ctx ends or the
// server does not answer.
func follow(ctx context.Context, c *traceClient, q *traceQuery, every time.Duration, show func(fresh []query.Trace, first bool) error) error {
	seen := map[string]time.Time{}
	tick := time.NewTicker(every)
	defer tick.Stop()
	first := true
	for {
		now := time.Now()
		found, err := c.find(ctx, q, now.Add(-q.lookback), now)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		var fresh []query.Trace
		for i := len(found) - 1; i >= 0; i-- {
			if _, known := seen[found[i].TraceID]; !known {
				fresh = append(fresh, found[i])
			}
			seen[found[i].TraceID] = now
		}
		for id, at := range seen {
			if now.Sub(at) > 2*q.lookback {
				delete(seen, id)
			}
		}
		if len(fresh) > 0 {
			if err := show(fresh, first); err != nil {
				return err
			}
			first = false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// printTrace prints one trace as a waterfall or as one line of JSON.
func printTrace(w io.Writer, t *query.Trace, output string, tags bool) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(t)
	}
	_, err := io.WriteString(w, drawTrace(t, penOf(w), tags)+"\n")
	return err
}

// pen is how a waterfall is drawn.
type pen struct {
	colour bool
	width  int
}

// penOf uses colours, and the terminal's width, only on a terminal.
func penOf(w io.Writer) pen {
	p := pen{width: 100}
	if p.colour = isTerminal(w); !p.colour {
		return p
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n >= 60 {
		p.width = n
	} else if n, _, err := term.GetSize(int(w.(*os.File).Fd())); err == nil && n >= 60 {
		p.width = n
	}
	return p
}
