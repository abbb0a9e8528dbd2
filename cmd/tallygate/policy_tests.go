package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/policy/opa"
)

func newPolicyTestCommand() *cobra.Command {
	var flags policyFlags
	var run, output string
	var least float64
	cmd := &cobra.Command{
		Use:   "test [path...]",
		Short: "Run the tests of policies, with their coverage",
		Long: `Test runs the rules whose names begin with test_, those in *_test.rego too, with
OPA's own tester, the data and the built-ins that serve would have.

Exit codes: 0 all passed, 2 the policies or tests are not valid, 3 a test failed
or too few lines are covered.`,
		Example: `  tallygate policy test policies/
  tallygate policy test --config tallygate.yaml --run 'authz.*owner' --coverage 90`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return &exitError{exitUsage, fmt.Errorf("-o %s: want text or json", output)}
			}
			cfg, _, err := flags.resolve(cmd, args)
			if err != nil {
				return err
			}
			r, err := opa.Test(cmd.Context(), &cfg, run)
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
				printTests(cmd.OutOrStdout(), r, failed)
			}
			if failed > 0 || r.Coverage < least {
				return &exitError{exitMissing, errors.New("")}
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&run, "run", "", "run only tests whose names match this regular `expression`")
	cmd.Flags().Float64Var(&least, "coverage", 0, "fail if fewer `percent` of the lines are covered")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func printTests(w io.Writer, r *opa.TestReport, failed int) {
	skipped := 0
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
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped; %.1f %% of the lines covered\n",
		len(r.Tests)-failed-skipped, failed, skipped, r.Coverage)
}
