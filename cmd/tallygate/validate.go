package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/policy/quota/descriptors"
)

// checkLimits compiles the limits that a configuration names.
func checkLimits(cfg *config.Config) error {
	if !cfg.RateLimit.HasValue() {
		return nil
	}
	r := cfg.RateLimit.Get()
	set, err := descriptors.Load(r.Paths, r.MergeDomains)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("the rate limits are not valid:\n%w", err)}
	}
	for _, w := range set.Warnings() {
		fmt.Fprintln(os.Stderr, "warning: "+w)
	}
	return nil
}

func newValidateCommand() *cobra.Command {
	var src config.Sources
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration and report everything wrong with it",
		Long: `Validate reads a configuration as serve does and reports every problem at once,
each with its key path, and those of the rate limits that it names with file and
line. It opens no listener and reads no certificate.

Exit codes: 0 valid, 2 not valid.`,
		Example: `  tallygate validate --config tallygate.yaml
  tallygate validate --config base.yaml --config site.yaml --set log.level=debug`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Context(), src)
			if err != nil {
				return err
			}
			if err := checkLimits(cfg); err != nil {
				return err
			}
			for _, w := range cfg.Warnings() {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+w.String())
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The configuration is valid.")
			return nil
		},
	}
	addSources(cmd, &src)
	return cmd
}
