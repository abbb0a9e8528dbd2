package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/policy/quota"
)

// quotaAnswer is what one replica says to a question about quotas.
type quotaAnswer[T any] struct {
	Instance string `json:"instance"`
	Answer   T      `json:"answer"`
}

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

// quotaFlags say who is asked, and how the answer is to look.
type quotaFlags struct {
	asking
	output string
}

func (f *quotaFlags) add(cmd *cobra.Command) {
	f.addTo(cmd)
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "text or json")
}

func (f *quotaFlags) check() error {
	if f.output != "text" && f.output != "json" {
		return usage(fmt.Errorf("-o %s: want text or json", f.output))
	}
	return f.validate()
}

// askQuotas asks every instance and returns the answers there are.
func askQuotas[T any](ctx context.Context, f *quotaFlags, ask func(*admin.Client, *quotaAnswer[T]) error) ([]quotaAnswer[T], error) {
	answers := []quotaAnswer[T]{}
	var errs []error
	clients(ctx, f.servers, f.cfg, func(name string, c *admin.Client, err error) {
		var a quotaAnswer[T]
		if err == nil {
			err = ask(c, &a)
		}
		if err != nil {
			errs = append(errs, asked(err))
			return
		}
		a.Instance = cmp.Or(a.Instance, name)
		answers = append(answers, a)
	})
	return answers, errors.Join(errs...)
}

// runQuota asks and prints.
func runQuota[T any](cmd *cobra.Command, f *quotaFlags, path string, query url.Values, print func(io.Writer, []quotaAnswer[T])) error {
	if err := f.check(); err != nil {
		return err
	}
	answers, err := askQuotas(cmd.Context(), f, func(c *admin.Client, a *quotaAnswer[T]) error {
		return c.Get(cmd.Context(), path+"?"+query.Encode(), a)
	})
	return errors.Join(printAnswers(cmd, f, answers, print), err)
}

func printAnswers[T any](cmd *cobra.Command, f *quotaFlags, answers []quotaAnswer[T], print func(io.Writer, []quotaAnswer[T])) error {
	w := cmd.OutOrStdout()
	if f.output == "json" {
		return writeJSON(w, answers)
	}
	if len(answers) > 0 {
		print(w, answers)
	}
	return nil
}

func newQuotaListCommand() *cobra.Command {
	var f quotaFlags
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the quotas with their limits and what they did",
		Long:    `List shows every quota that was charged since an instance started.` + "\n\n" + quotaExits,
		Example: "  tallygate quota list\n  tallygate quota list --server a:8282 --server b:8282 -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runQuota(cmd, &f, "/api/v1/quotas", nil, printQuotas)
		},
	}
	f.add(cmd)
	return cmd
}

func newQuotaTopCommand() *cobra.Command {
	var f quotaFlags
	var by string
	var n int
	cmd := &cobra.Command{
		Use:   "top [quota]",
		Short: "Show the keys that are nearest to their limit, or busiest",
		Long: `Top shows the first keys of one quota, or of all: by used (the share of the
limit), by charges, or by over (refused charges).` + "\n\n" + quotaExits,
		Example: "  tallygate quota top\n  tallygate quota top per-user --by over -n 5",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{"by": {by}, "n": {strconv.Itoa(n)}}
			if len(args) > 0 {
				query.Set("quota", args[0])
			}
			return runQuota(cmd, &f, "/api/v1/quotas/top", query, printKeys)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&by, "by", quota.ByUsed, "order: used, charges or over")
	cmd.Flags().IntVarP(&n, "number", "n", 10, "how many of each instance")
	return cmd
}

func newQuotaGetCommand() *cobra.Command {
	var f quotaFlags
	cmd := &cobra.Command{
		Use:     "get <quota> [key]",
		Short:   "Show what one key has left",
		Long:    `Get shows the state of one key of a quota; without a key, of the empty one.` + "\n\n" + quotaExits,
		Example: "  tallygate quota get per-user alice",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runQuota(cmd, &f, "/api/v1/quotas/key", keyOf(args), printKeys)
		},
	}
	f.add(cmd)
	return cmd
}

func newQuotaExplainCommand() *cobra.Command {
	var f quotaFlags
	cmd := &cobra.Command{
		Use:     "explain <quota> [key]",
		Short:   "Say where a key is counted and what its next request would meet",
		Long:    `Explain says in sentences what an instance knows about one key of a quota.` + "\n\n" + quotaExits,
		Example: "  tallygate quota explain per-user alice",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runQuota(cmd, &f, "/api/v1/quotas/explain", keyOf(args), func(w io.Writer, answers []quotaAnswer[[]string]) {
				for _, a := range answers {
					fmt.Fprintf(w, "%s\n", a.Instance)
					for _, line := range a.Answer {
						fmt.Fprintf(w, "  %s\n", line)
					}
				}
			})
		},
	}
	f.add(cmd)
	return cmd
}

func newQuotaResetCommand() *cobra.Command {
	var f quotaFlags
	cmd := &cobra.Command{
		Use:   "reset <quota> [key]",
		Short: "Give one key its full quota back",
		Long: `Reset makes one key of a quota full again, on every instance that is named; with
Redis for all of them.` + "\n\n" + quotaExits,
		Example: "  tallygate quota reset per-user alice --server a:8282 --server b:8282",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			answers, err := askQuotas(cmd.Context(), &f, func(c *admin.Client, a *quotaAnswer[int]) error {
				return c.Post(cmd.Context(), "/api/v1/quotas/reset?"+keyOf(args).Encode(), a)
			})
			return errors.Join(printAnswers(cmd, &f, answers, func(w io.Writer, answers []quotaAnswer[int]) {
				for _, a := range answers {
					what := "was full already"
					if a.Answer > 0 {
						what = "is full again"
					}
					fmt.Fprintf(w, "%s: %s %s\n", a.Instance, strings.Join(args, " "), what)
				}
			}), err)
		},
	}
	f.add(cmd)
	return cmd
}

const quotaExits = `Exit codes: 0 every instance answered, 1 one did not, 2 the command line is wrong.`

func keyOf(args []string) url.Values {
	query := url.Values{"quota": {args[0]}}
	if len(args) > 1 {
		query.Set("key", args[1])
	}
	return query
}

func printQuotas(w io.Writer, answers []quotaAnswer[[]quota.View]) {
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
			fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", a.Instance, v.Name, limit, v.Keys, v.Near, v.Passed, v.Over, v.ShadowOver, v.Overflow, v.Failed)
		}
	}
	if n == 0 {
		fmt.Fprintln(w, "No quota was charged. A policy names them in the quotas of its decision: docs/quotas.md.")
		return
	}
	tw.Flush()
}

func printKeys(w io.Writer, answers []quotaAnswer[[]quota.KeyView]) {
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
			fmt.Fprintf(tw, "%s\t%s\t%q\t%s\t%.0f %%\t%d\t%s\t%d\t%d\t%s\n", a.Instance, k.Name, k.Key, k.LimitView, k.Used*100, k.Remaining, k.Reset, k.Charges, k.Over, lease)
		}
	}
	if n == 0 {
		fmt.Fprintln(w, "No key has used anything: what was not charged, or is full again, is not kept.")
		return
	}
	tw.Flush()
}
