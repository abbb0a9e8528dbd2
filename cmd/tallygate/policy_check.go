package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func newPolicyCheckCommand() *cobra.Command {
	var flags policyFlags
	var strict bool
	cmd := &cobra.Command{
		Use:   "check [path...]",
		Short: "Compile policies as serve does and report everything wrong with them",
		Long: `Check compiles policies with the built-ins that are permitted, and says what
would keep their decisions out of the cache, and which names below data are
neither loaded data nor rules (not if bundles may bring data at run time). It
evaluates nothing.

Exit codes: 0 valid, 2 not valid, or with --strict: a name below data is
nowhere, 3 with --strict: decisions are not cached, or
only with a TTL that the policy states.`,
		Example: `  tallygate policy check policies/
  tallygate policy check --strict --config tallygate.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.strict = strict
			g, _, err := flags.compile(cmd, args)
			if err != nil {
				return err
			}
			reasons := 0
			for _, name := range g.Entrypoints() {
				s, err := g.Shape(name)
				if err != nil {
					return err
				}
				for _, r := range s.Reasons {
					reasons++
					fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: entrypoint %s: %s: %s\n", r.At, entrypointName(name), r.What, r.Why)
				}
			}
			// Bundles may bring data that is not here.
			rules, _, err := flags.resolve(cmd, args)
			if err != nil {
				return err
			}
			missing := 0
			if rules.OPAConfig == "" {
				for _, m := range g.Missing() {
					missing++
					fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s:%d: %s is neither data nor a rule: what needs it is undefined\n", m.File, m.Line, m.Name)
				}
			}
			if strict && missing > 0 {
				return &exitError{exitUsage, fmt.Errorf("the policies refer to what is not there: %d times", missing)}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The policies are valid: revision %s, %d files.\n", g.Revision, len(g.Files))
			if strict && reasons > 0 {
				return &exitError{exitMissing, errors.New("")}
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "compile in OPA's strict mode (unused variables and imports), and fail if a name below data is nowhere or decisions cannot be cached without a stated TTL")
	return cmd
}
