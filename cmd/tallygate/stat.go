package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/fleet"
)

// asks are the flags that say which figures.
type asks struct {
	asking
	since, output string
	where         []string
	from, to, svc string
}

func (a *asks) addTo(cmd *cobra.Command, since string) {
	a.asking.addTo(cmd)
	f := cmd.Flags()
	f.StringVar(&a.since, "since", since, "how far back, at most 1h")
	f.StringVarP(&a.output, "output", "o", "table", "table, wide or json")
	f.StringArrayVar(&a.where, "where", nil, "only `label=value,value` or label!=value; * at an end stands for anything; repeats")
	f.StringVar(&a.from, "from", "", "only calls of `workload` or workload.namespace")
	f.StringVar(&a.to, "to", "", "only calls to `workload` or workload.namespace")
	f.StringVar(&a.svc, "service", "", "only calls to a `service`, by its full name or the first part of it")
}

func (a *asks) query() (url.Values, error) {
	if a.output != "table" && a.output != "wide" && a.output != "json" {
		return nil, usage(fmt.Errorf("-o %s: want table, wide or json", a.output))
	}
	q := url.Values{"since": {a.since}, "where": a.where}
	for key, value := range map[string]string{"from": a.from, "to": a.to, "service": a.svc} {
		if value != "" {
			q.Set(key, value)
		}
	}
	return q, a.validate()
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func newStatCommand() *cobra.Command {
	var a asks
	var by string
	cmd := &cobra.Command{
		Use:   "stat",
		Short: "Show rate, errors and duration by any labels, of the last minutes",
		Long: `Stat sums up what the proxies reported in the last seconds to an hour, by any
labels of the metrics. Both ends of a request report it: without
--where reporter=source (or destination) it counts twice.
` + askingHelp + `
Labels are Istio's, and custom ones; short are from, to, service, code, grpc,
flags, protocol, from_namespace, to_namespace.

Exit codes: 0 at least one instance answered, 1 none did, 2 the command line is
wrong.`,
		Example: `  tallygate stat
  tallygate stat --by service,code --since 5m
  tallygate stat --by from --where to=payments --where reporter=destination -o wide
  tallygate stat --by destination_principal,flags --since 1h -o json
  watch tallygate stat --by service`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := a.query()
			if err != nil {
				return err
			}
			q.Set("by", by)
			s, err := fleet.AskStat(cmd.Context(), a.sources(cmd.Context()), q)
			if err != nil {
				return asked(err)
			}
			warnSilent(cmd.ErrOrStderr(), s.Replicas)
			if a.output == "json" {
				return writeJSON(cmd.OutOrStdout(), s)
			}
			return printStat(cmd.OutOrStdout(), &s, a.output == "wide")
		},
	}
	a.addTo(cmd, "1m")
	cmd.Flags().StringVar(&by, "by", "reporter,source_workload,destination_workload,response_code", "`labels` to group by, comma separated")
	return cmd
}

func printStat(w io.Writer, s *fleet.Stat, wide bool) error {
	if len(s.Rows) == 0 {
		_, err := fmt.Fprintf(w, "Nothing was counted in the last %s by %s.\n", covered(s.From, s.To), strings.Join(replicaNames(s.Replicas), ", "))
		return err
	}
	var t table
	for _, l := range s.By {
		t.column(strings.ToUpper(l), false)
	}
	figureColumns(&t, wide)
	for i := range s.Rows {
		r := &s.Rows[i]
		var cells []cell
		for _, v := range r.Values {
			cells = append(cells, cell{text: orDash(v)})
		}
		t.row(append(cells, figureCells(&r.Figures, wide, r.SeenBy)...)...)
	}
	if err := t.print(w); err != nil {
		return err
	}
	return printFooter(w, covered(s.From, s.To), s.Replicas)
}

func printFooter(w io.Writer, covered string, replicas []fleet.Replica) error {
	_, err := fmt.Fprintf(w, "\nlast %s, by %s\n", covered, strings.Join(replicaNames(replicas), ", "))
	return err
}

func figureColumns(t *table, wide bool) {
	for _, title := range []string{"RATE/S", "ERR %", "DENIED/S", "P50", "P95", "P99"} {
		t.column(title, true)
	}
	if wide {
		for _, title := range []string{"REQUESTS", "ERRORS", "DENIED", "MEAN", "REQUEST", "RESPONSE", "TCP/S"} {
			t.column(title, true)
		}
		t.column("SEEN BY", false)
	}
}

func figureCells(f *fleet.Figures, wide bool, seenBy []string) []cell {
	denied := plain
	if f.Denied > 0 {
		denied = inYellow
	}
	cells := []cell{
		{formatRate(f.Rate), plain}, {formatPercent(f.ErrorRatio), errorStyle(f.ErrorRatio)}, {formatRate(f.DeniedRate), denied},
		{formatMillis(f.P50), plain}, {formatMillis(f.P95), plain}, {formatMillis(f.P99), plain},
	}
	if wide {
		for _, text := range []string{
			fmt.Sprint(f.Requests), fmt.Sprint(f.Errors), fmt.Sprint(f.Denied), formatMillis(f.Mean),
			formatBytes(float64(f.RequestBytes)), formatBytes(float64(f.ResponseBytes)), formatBytes(f.TCPRate),
			strings.Join(seenBy, ","),
		} {
			cells = append(cells, cell{text: text})
		}
	}
	return cells
}
