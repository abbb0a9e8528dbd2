package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/dashboards"
)

func newDashboardsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "dashboards",
		Short:   "Write out the Grafana boards, alerts and recording rules",
		Example: `  tallygate dashboards export --dir grafana --prometheus http://127.0.0.1:9090`,
	}
	cmd.AddCommand(newDashboardsExportCommand())
	return cmd
}

func newDashboardsExportCommand() *cobra.Command {
	var e dashboards.Export
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write boards, rules and Grafana's provisioning files into a directory",
		Long: `Export writes, below --dir:

  boards/*.json                             the boards
  provisioning/dashboards/tallygate.yaml    makes Grafana load them
  provisioning/datasources/tallygate.yaml   with --prometheus, --jaeger: data sources
  prometheus/tallygate.rules.yaml           recording rules and alerts, for rule_files

Start Grafana with GF_PATHS_PROVISIONING set to the directory provisioning, or
copy its files into /etc/grafana/provisioning. Files of these names are
overwritten.

Exit codes: 0 written, 1 it could not be written, 2 the command line is wrong.`,
		Example: `  tallygate dashboards export --dir grafana
  tallygate dashboards export --dir grafana --prometheus http://127.0.0.1:9090 --jaeger http://127.0.0.1:16686
  tallygate dashboards export --dir grafana --path /etc/tallygate   # where Grafana's container has it`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := e.Validate(); err != nil {
				return &exitError{exitUsage, err}
			}
			files, err := e.Write()
			for _, f := range files {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.Dir, "dir", "", "the `directory` to write into; it is made if it is not there")
	f.StringVar(&e.Prometheus, "prometheus", "", "`URL` of Prometheus: adds a data source of it")
	f.StringVar(&e.Jaeger, "jaeger", "", "`URL` of Jaeger's or Tallygate's query API: adds a data source of it, and links exemplars to it")
	f.StringVar(&e.Path, "path", "", "where Grafana will find --dir, if that is elsewhere than here: `path` in its container")
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}
