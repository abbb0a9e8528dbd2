package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/policy/quota"
)

func newQuotaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quota",
		Short: "Show and reset what running instances have counted",
		Long: `Quota asks running instances about the quotas they charge: usage, limits, who is
near. Each replica says what it has counted itself and is named in the answer.
Name them all with --server, or one DNS name that resolves to all of them.`,
		Example: `  tallygate quota list
  tallygate quota top --by used -n 20
  tallygate quota top per-user --by over
  tallygate quota get per-user alice
  tallygate quota explain per-user alice
  tallygate quota reset per-user alice --server tallygate.mesh:8282`,
	}
	cmd.AddCommand(newQuotaListCommand(), newQuotaTopCommand(), newQuotaGetCommand(), newQuotaResetCommand(), newQuotaExplainCommand())
	return cmd
}

// question is one about quotas: each replica answers with a T.
type question[T any] struct {
	path  string
	reset bool // it changes something
	query func(args []string) url.Values
	print func(w io.Writer, args []string, answers []fleet.Of[T])
}

// asksQuotas makes cmd ask q.
func asksQuotas[T any](cmd *cobra.Command, q question[T]) *cobra.Command {
	var a asking
	var output string
	cmd.Long += "\n\nExit codes: 0 every instance answered, 1 one did not, 2 the command line is wrong."
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if output != "text" && output != "json" {
			return usage(fmt.Errorf("-o %s: want text or json", output))
		}
		if err := a.validate(); err != nil {
			return err
		}
		sources := a.sources(cmd.Context())
		if q.reset {
			sources = a.posting(cmd.Context())
		}
		said, err := fleet.AskEach[T](cmd.Context(), sources, q.path, q.query(args))
		if err != nil {
			return asked(err)
		}
		w := cmd.OutOrStdout()
		if output == "json" {
			err = writeJSON(w, said)
		} else {
			q.print(w, args, said.Answers)
		}
		for _, r := range said.Replicas {
			if r.Error != "" {
				err = errors.Join(err, fmt.Errorf("%s did not answer: %s", r.Name, r.Error))
			}
		}
		return err
	}
	a.addTo(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func newQuotaListCommand() *cobra.Command {
	return asksQuotas(&cobra.Command{
		Use:     "list",
		Short:   "List the quotas with their limits and what they did",
		Long:    "List shows every quota that was charged since an instance started.",
		Example: "  tallygate quota list\n  tallygate quota list --server a:8282 --server b:8282 -o json",
		Args:    cobra.NoArgs,
	}, question[[]quota.View]{
		path: "/api/v1/quotas", query: func([]string) url.Values { return nil },
		print: func(w io.Writer, _ []string, answers []fleet.Of[[]quota.View]) { printQuotas(w, answers) },
	})
}

func newQuotaTopCommand() *cobra.Command {
	var by string
	var n int
	cmd := asksQuotas(&cobra.Command{
		Use:   "top [quota]",
		Short: "Show the keys that are nearest to their limit, or busiest",
		Long: `Top shows the first keys of one quota, or of all: by used (the share of the
limit), by charges, or by over (refused charges).`,
		Example: "  tallygate quota top\n  tallygate quota top per-user --by over -n 5",
		Args:    cobra.MaximumNArgs(1),
	}, question[[]quota.KeyView]{
		path: "/api/v1/quotas/top", print: printKeys,
		query: func(args []string) url.Values {
			query := url.Values{"by": {by}, "n": {strconv.Itoa(n)}}
			if len(args) > 0 {
				query.Set("quota", args[0])
			}
			return query
		},
	})
	cmd.Flags().StringVar(&by, "by", quota.ByUsed, "order: used, charges or over")
	cmd.Flags().IntVarP(&n, "number", "n", 10, "how many of each instance")
	return cmd
}

func newQuotaGetCommand() *cobra.Command {
	return asksQuotas(&cobra.Command{
		Use:     "get <quota> [key]",
		Short:   "Show what one key has left",
		Long:    "Get shows the state of one key of a quota; without a key, of the empty one.",
		Example: "  tallygate quota get per-user alice",
		Args:    cobra.RangeArgs(1, 2),
	}, question[[]quota.KeyView]{path: "/api/v1/quotas/key", query: keyOf, print: printKeys})
}

func newQuotaExplainCommand() *cobra.Command {
	return asksQuotas(&cobra.Command{
		Use:     "explain <quota> [key]",
		Short:   "Say where a key is counted and what its next request would meet",
		Long:    "Explain says in sentences what an instance knows about one key of a quota.",
		Example: "  tallygate quota explain per-user alice",
		Args:    cobra.RangeArgs(1, 2),
	}, question[[]string]{
		path: "/api/v1/quotas/explain", query: keyOf,
		print: func(w io.Writer, _ []string, answers []fleet.Of[[]string]) {
			for _, a := range answers {
				fmt.Fprintf(w, "%s\n  %s\n", a.Replica, strings.Join(a.Answer, "\n  "))
			}
		},
	})
}

func newQuotaResetCommand() *cobra.Command {
	return asksQuotas(&cobra.Command{
		Use:   "reset <quota> [key]",
		Short: "Give one key its full quota back",
		Long: `Reset makes one key of a quota full again, on every instance that is named; with
Redis for all of them.`,
		Example: "  tallygate quota reset per-user alice --server a:8282 --server b:8282",
		Args:    cobra.RangeArgs(1, 2),
	}, question[int]{
		path: "/api/v1/quotas/reset", reset: true, query: keyOf,
		print: func(w io.Writer, args []string, answers []fleet.Of[int]) {
			for _, a := range answers {
				what := "was full already"
				if a.Answer > 0 {
					what = "is full again"
				}
				fmt.Fprintf(w, "%s: %s %s\n", a.Replica, strings.Join(args, " "), what)
			}
		},
	})
}

func keyOf(args []string) url.Values {
	query := url.Values{"quota": {args[0]}}
	if len(args) > 1 {
		query.Set("key", args[1])
	}
	return query
}

func printQuotas(w io.Writer, answers []fleet.Of[[]quota.View]) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "INSTANCE\tQUOTA\tLIMIT\tKEYS\tNEAR\tPASSED\tOVER\tSHADOW OVER\tOVERFLOW\tFAILED")
	n := 0
	for _, a := range answers {
		for _, v := range a.Answer {
			n++
			limit := "-"
			if len(v.Limits) > 0 {
				limit = v.Limits[0].String()
			}
			if len(v.Limits) > 1 {
				limit += fmt.Sprintf(" and %d more", len(v.Limits)-1)
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", a.Replica, v.Name, limit, v.Keys, v.Near, v.Passed, v.Over, v.ShadowOver, v.Overflow, v.Failed)
		}
	}
	if n == 0 {
		fmt.Fprintln(w, "No quota was charged. A policy names them in the quotas of its decision: docs/quotas.md.")
		return
	}
	tw.Flush()
}

func printKeys(w io.Writer, _ []string, answers []fleet.Of[[]quota.KeyView]) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "INSTANCE\tQUOTA\tKEY\tLIMIT\tUSED\tLEFT\tFULL IN\tCHARGES\tOVER\tLEASE")
	n := 0
	for _, a := range answers {
		for _, k := range a.Answer {
			n++
			lease := "-"
			if k.Lease != nil {
				lease = fmt.Sprintf("%d for %s", k.Lease.Left, k.Lease.Ends)
			}
			fmt.Fprintf(tw, "%s\t%s\t%q\t%s\t%.0f %%\t%d\t%s\t%d\t%d\t%s\n", a.Replica, k.Name, k.Key, k.LimitView, k.Used*100, k.Remaining, k.Reset, k.Charges, k.Over, lease)
		}
	}
	if n == 0 {
		fmt.Fprintln(w, "No key has used anything: what was not charged, or is full again, is not kept.")
		return
	}
	tw.Flush()
}
