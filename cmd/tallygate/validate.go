package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/config"
)

func newValidateCommand() *cobra.Command {
	var src config.Sources
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration and report everything wrong with it",
		Long: `Validate reads a configuration as serve does and reports every problem at once,
each with its key path. It opens no listener and reads no certificate.

Exit codes: 0 valid, 2 not valid.`,
		Example: `  tallygate validate --config tallygate.yaml
  tallygate validate --config base.yaml --config site.yaml --set log.level=debug`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Context(), src)
			if err != nil {
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
