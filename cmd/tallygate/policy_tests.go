package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/policy/opa"
)

func newPolicyTestCommand() *cobra.Command {
	var flags policyFlags
	var opts opa.TestOptions
	var output string
	var least float64
	cmd := &cobra.Command{
		Use:   "test [path...]",
		Short: "Run the tests of policies, with their coverage",
		Long: `Test runs the rules whose names begin with test_, those in *_test.rego too, with
OPA's own tester, the data and the built-ins that serve would have. A test says what
is asked with a plain request:

  import data.tallygate
  test_reads if authz.allow with input as tallygate.request({
      "method": "GET", "path": "/orders/7?full=1", "headers": {"x-user": "alice"},
      "principal": "spiffe://cluster.local/ns/shop/sa/front"})

Other keys are host, body, destination_principal, source, destination, context and
tcp. With --bench each test that passes is run for a second, and what one run takes
is printed instead of the coverage.

Exit codes: 0 all passed, 2 the policies or tests are not valid, 3 a test failed
or too few lines are covered.`,
		Example: `  tallygate policy test policies/
  tallygate policy test --config tallygate.yaml --run 'authz.*owner' --coverage 90
  tallygate policy test --bench --run test_reads policies/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return &exitError{exitUsage, fmt.Errorf("-o %s: want text or json", output)}
			}
			if opts.Bench && least > 0 {
				return &exitError{exitUsage, errors.New("--bench measures no --coverage")}
			}
			cfg, _, err := flags.resolve(cmd, args)
			if err != nil {
				return err
			}
			r, err := opa.Test(cmd.Context(), &cfg, opts)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			if output == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				if err := enc.Encode(r); err != nil {
					return err
				}
			}
			failed := 0
			for _, t := range r.Tests {
				if !t.Passed && !t.Skipped {
					failed++
				}
			}
			if output == "text" {
				printTests(cmd.OutOrStdout(), r, failed, opts.Bench)
			}
			if failed > 0 || r.Coverage < least {
				return &exitError{exitMissing, errors.New("")}
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&opts.Bench, "bench", false, "run each test again and again and print what it takes")
	cmd.Flags().StringVar(&opts.Run, "run", "", "run only tests whose names match this regular `expression`")
	cmd.Flags().Float64Var(&least, "coverage", 0, "fail if fewer `percent` of the lines are covered")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func printTests(w io.Writer, r *opa.TestReport, failed int, bench bool) {
	skipped := 0
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, t := range r.Tests {
		if b := t.Bench; b != nil {
			fmt.Fprintf(tw, "%s  \t%d\t%d ns/run\t%d B/run\t%d allocs/run\t\n", t.Name, b.Runs, b.Nanos, b.Bytes, b.Allocs)
		}
	}
	tw.Flush()
	for _, t := range r.Tests {
		switch {
		case t.Skipped:
			skipped++
			fmt.Fprintf(w, "SKIP  %s  %s\n", t.Name, t.At)
		case !t.Passed:
			fmt.Fprintf(w, "FAIL  %s  %s  %s\n", t.Name, t.At, t.Took.Round(time.Microsecond))
			if t.Err != "" {
				fmt.Fprintf(w, "      %s\n", t.Err)
			}
			if t.Output != "" {
				fmt.Fprintf(w, "      %s\n", t.Output)
			}
		}
	}
	for _, at := range r.Uncovered {
		fmt.Fprintf(w, "not covered  %s\n", at)
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped", len(r.Tests)-failed-skipped, failed, skipped)
	if !bench {
		fmt.Fprintf(w, "; %.1f %% of the lines covered", r.Coverage)
	}
	fmt.Fprintln(w)
}
