package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/telemetry"
)

func newVersionCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print what this binary is",
		Example: `  tallygate version
  tallygate version -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := telemetry.ReadBuild()
			w := cmd.OutOrStdout()
			switch output {
			case "json":
				return json.NewEncoder(w).Encode(b)
			case "text":
				modified := ""
				if b.Modified {
					modified = ", modified"
				}
				_, err := fmt.Fprintf(w, "tallygate %s (revision %.12s%s) %s %s\n", b.Version, b.Revision, modified, b.GoVersion, b.Platform)
				return err
			}
			return &exitError{exitUsage, fmt.Errorf("-o %s: want text or json", output)}
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}
