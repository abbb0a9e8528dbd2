package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/config"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print, begin or describe a configuration",
		Example: `  tallygate config init tallygate.yaml
  tallygate config print --config tallygate.yaml
  tallygate config schema > tallygate.schema.json`,
	}
	cmd.AddCommand(newConfigPrintCommand(), newConfigInitCommand(), newConfigSchemaCommand())
	return cmd
}

func newConfigPrintCommand() *cobra.Command {
	var src config.Sources
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print what would be in force: all defaults filled in, secrets hidden",
		Example: `  tallygate config print
  tallygate config print --config tallygate.yaml --set drain.timeout=5s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Context(), src)
			if err != nil {
				return err
			}
			b, err := cfg.YAML()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
	addSources(cmd, &src)
	return cmd
}

func newConfigInitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [file]",
		Short: "Write a commented configuration to begin with",
		Long:  "Init writes a commented configuration to a file that must not exist, or to standard output.",
		Example: `  tallygate config init
  tallygate config init tallygate.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := fmt.Fprint(cmd.OutOrStdout(), config.Default())
				return err
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return &exitError{exitUsage, fmt.Errorf("%s exists; it is not overwritten", args[0])}
			}
			if err != nil {
				return err
			}
			_, err = f.WriteString(config.Default())
			return errors.Join(err, f.Close())
		},
	}
}

func newConfigSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of the configuration, for editors",
		Example: "  tallygate config schema > tallygate.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Schema())
			return err
		},
	}
}
