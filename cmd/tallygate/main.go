// Tallygate turns the access logs of Envoy proxies into metrics of their mesh.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// Exit codes, as `tallygate --help` documents them.
const (
	exitFailed  = 1 // what was asked for failed
	exitUsage   = 2 // the command line or the configuration is wrong
	exitMissing = 3 // doctor: something is missing
)

// exitError is an error that ends the process with a code of its own. An empty
// text was already said.
type exitError struct {
	code int
	error
}

func main() {
	err := newRootCommand().Execute()
	if err == nil {
		return
	}
	code := exitFailed
	if e, ok := errors.AsType[*exitError](err); ok {
		code = e.code
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(os.Stderr, "tallygate: "+text)
	}
	os.Exit(code)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "tallygate",
		Short:         "Rate, errors and duration of a service mesh from Envoy's access logs",
		Long:          rootHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &exitError{exitUsage, fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(newServeCommand(), newValidateCommand(), newConfigCommand(), newDoctorCommand(), newVersionCommand())
	return root
}

const rootHelp = `Tallygate takes the access logs that Envoy proxies stream to it over gRPC and
serves rate, errors and duration of every edge of the mesh to Prometheus, under
Istio's metric names.

Exit codes: 0 all is well; 1 it failed; 2 the command line or the configuration
is wrong; 3 doctor found something missing.`
