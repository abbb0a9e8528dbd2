package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/internal/tap"
)

// taps are the flags of tap.
type taps struct {
	asking
	denied, failed, follow                          bool
	code, from, to, service, path, method, reporter string
	least                                           time.Duration
	last                                            int
	output                                          string
}

func newTapCommand() *cobra.Command {
	var t taps
	cmd := &cobra.Command{
		Use:   "tap",
		Short: "Watch single requests: the last failures, and what passes a filter as it comes",
		Long: `Tap shows requests as their proxies report them. Without --follow it prints the
last failures and denials that every instance remembers of each edge, and ends;
with it, it then shows every request that passes the filter until it is
interrupted. Who asks for more than tap.max_rate per second misses some, and is
told how many.

Both ends of a request report it: --reporter destination (or source) shows one.
Denials have the rule that decided if a policy of Tallygate's did.
` + askingHelp + `
Exit codes: 0 it ended or was interrupted, 1 no instance answered, 2 the command
line is wrong.`,
		Example: `  tallygate tap
  tallygate tap --denied --to payments.shop --follow
  tallygate tap --code 5xx --from frontend --path /cart --min-duration 250ms --follow
  tallygate tap --denied -o json | jq -r .rule | sort | uniq -c`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := t.query()
			if err != nil {
				return err
			}
			p := &tapPrinter{w: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), json: t.output == "json", colours: isTerminal(cmd.OutOrStdout())}
			if t.follow {
				return t.watch(cmd.Context(), q, p)
			}
			q.Set("limit", strconv.Itoa(t.last))
			got, err := fleet.AskEntries(cmd.Context(), t.sources(cmd.Context()), q)
			if err != nil {
				return asked(err)
			}
			warnSilent(cmd.ErrOrStderr(), got.Replicas)
			for i := min(len(got.Entries), t.last) - 1; i >= 0; i-- {
				if err := p.entry(&got.Entries[i]); err != nil {
					return err
				}
			}
			if len(got.Entries) == 0 && !p.json {
				fmt.Fprintf(cmd.ErrOrStderr(), "No failure or denial that passes is remembered by %s. --follow waits for the next.\n", strings.Join(replicaNames(got.Replicas), ", "))
			}
			return nil
		},
	}
	t.addTo(cmd)
	f := cmd.Flags()
	f.BoolVar(&t.denied, "denied", false, "only what ext_authz or a rate limit refused")
	f.BoolVar(&t.failed, "errors", false, "only errors: 5xx, no answer, or a gRPC status that blames the server")
	f.StringVar(&t.code, "code", "", "only `codes`: 503, 5xx, 500-599")
	f.StringVar(&t.from, "from", "", "only calls of `workload` or workload.namespace; * at an end stands for anything")
	f.StringVar(&t.to, "to", "", "only calls to `workload` or workload.namespace")
	f.StringVar(&t.service, "service", "", "only calls to a `service`, by its full name or the first part of it")
	f.StringVar(&t.path, "path", "", "only paths that begin so, or with * at an end")
	f.StringVar(&t.method, "method", "", "only this HTTP method")
	f.StringVar(&t.reporter, "reporter", "", "only what the source or the destination reported")
	f.DurationVar(&t.least, "min-duration", 0, "only requests that took at least so long")
	f.IntVar(&t.last, "last", 20, "begin with so many that are remembered, at most 200")
	f.BoolVarP(&t.follow, "follow", "f", false, "go on with what comes")
	f.StringVarP(&t.output, "output", "o", "line", "line or json (one object per line)")
	return cmd
}

func (t *taps) query() (url.Values, error) {
	if t.output != "line" && t.output != "json" {
		return nil, usage(fmt.Errorf("-o %s: want line or json", t.output))
	}
	if t.last < 0 || t.last > 200 || t.last == 0 && !t.follow {
		return nil, usage(fmt.Errorf("--last %d: want a number from 1 to 200", t.last))
	}
	q := url.Values{}
	for key, value := range map[string]string{
		"code": t.code, "from": t.from, "to": t.to, "service": t.service, "path": t.path, "method": t.method, "reporter": t.reporter,
	} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if t.least > 0 {
		q.Set("min_duration", t.least.String())
	}
	var outcomes []string
	if t.denied {
		outcomes = append(outcomes, tap.Denied)
	}
	if t.failed {
		outcomes = append(outcomes, tap.Error)
	}
	if len(outcomes) > 0 {
		q.Set("outcome", strings.Join(outcomes, ","))
	}
	if _, err := tap.ParseFilter(q); err != nil {
		return nil, usage(err)
	}
	return q, t.validate()
}

// watch prints what all instances send until ctx ends. One that goes away is
// said to; the others go on.
func (t *taps) watch(ctx context.Context, q url.Values, p *tapPrinter) error {
	q.Set("last", strconv.Itoa(t.last))
	ctx, stop := signalContext(ctx)
	defer stop()
	n, errs := 0, []error(nil)
	watchAll(ctx, t.servers, t.cfg, q, func(l fleet.Line) {
		if p.line(&l) != nil {
			stop() // nobody reads on
		}
	}, func(name string, err error) {
		n++
		if ctx.Err() == nil {
			errs = append(errs, err)
			fmt.Fprintf(p.errs, "tallygate: %s: %v\n", name, err)
		}
	})
	if ctx.Err() == nil && len(errs) == n && p.lines == 0 {
		return asked(errs[0])
	}
	return nil
}

// watchAll calls line with the lines of all instances until ctx ends, or none is
// left; ended is told of each that ends. Neither is called twice at once.
func watchAll(ctx context.Context, servers []string, cfg admin.ClientConfig, q url.Values, line func(fleet.Line), ended func(name string, err error)) {
	q = url.Values(map[string][]string(q))
	own := url.Values{}
	for k, v := range q {
		own[k] = v
	}
	own.Set("replicas", "own")
	var mu sync.Mutex
	var wg sync.WaitGroup
	clients(ctx, servers, cfg, func(name string, c *admin.Client, err error) {
		wg.Go(func() {
			if err == nil {
				err = c.Lines(ctx, "/api/v1/tap?"+own.Encode(), func(b []byte) error {
					var l fleet.Line
					if err := json.Unmarshal(b, &l); err != nil {
						return err
					}
					mu.Lock()
					defer mu.Unlock()
					line(l)
					return nil
				})
			}
			if err == nil {
				err = errors.New("it ended the stream")
			}
			mu.Lock()
			defer mu.Unlock()
			ended(name, err)
		})
	})
	wg.Wait()
}

// tapPrinter writes entries.
type tapPrinter struct {
	w, errs io.Writer
	json    bool
	colours bool
	lines   int
	missed  map[string]uint64
}

func (p *tapPrinter) line(l *fleet.Line) error {
	p.lines++
	if l.Missed > p.missed[l.Replica] {
		if p.missed == nil {
			p.missed = map[string]uint64{}
		}
		fmt.Fprintf(p.errs, "tallygate: %d more passed the filter at %s and are not shown: narrow it\n", l.Missed-p.missed[l.Replica], l.Replica)
		p.missed[l.Replica] = l.Missed
	}
	if l.Entry == nil {
		return nil
	}
	return p.entry(l.Entry)
}

func (p *tapPrinter) entry(e *fleet.Entry) error {
	if p.json {
		return json.NewEncoder(p.w).Encode(e)
	}
	_, err := fmt.Fprintln(p.w, entryLine(e, p.colours))
	return err
}
