// Tallygate turns the access logs of Envoy proxies into metrics of their mesh.
package main

import (
	"errors"
	"fmt"
	"os"
)

// Exit codes, as `tallygate --help` documents them.
const (
	exitFailed  = 1 // what was asked for failed
	exitUsage   = 2 // the command line or the configuration is wrong
	exitMissing = 3 // doctor: something is missing
)

// exitError is an error that ends the process with a code of its own. One
// without text was already said.
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
