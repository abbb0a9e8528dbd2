package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tallygate",
		Short: "Telemetry and policy of a service mesh: metrics from Envoy's access logs, decisions from Rego",
		Long: `Tallygate takes the access logs that Envoy proxies stream to it over gRPC and
serves rate, errors and duration of every edge of the mesh to Prometheus, under
Istio's metric names. Asked by Envoy, nginx or Traefik whether a request may
pass, it answers from Rego policies and quotas through a decision cache. It makes
spans of sampled, failed and slow requests, and keeps them or sends them on.

Exit codes: 0 all is well; 1 it failed; 2 the command line or the configuration
is wrong; 3 the answer is no: a check was denied, a test failed, doctor found something
missing. Each command says which it uses.`,
		Example: `  tallygate serve
  tallygate doctor
  tallygate top
  tallygate tap --denied --follow
  tallygate policy check policies/
  tallygate config init tallygate.yaml`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &exitError{exitUsage, fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(
		newServeCommand(),
		newValidateCommand(),
		newConfigCommand(),
		newDoctorCommand(),
		newEdgesCommand(),
		newConsoleCommand(),
		newStatCommand(),
		newTapCommand(),
		newTopCommand(),
		newPolicyCommand(),
		newRecordCommand(),
		newCheckCommand(),
		newDashboardsCommand(),
		newTraceCommand(),
		newQuotaCommand(),
		newBenchCommand(),
		newVersionCommand(),
	)
	return root
}
