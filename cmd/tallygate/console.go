package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/admin"
)

func newConsoleCommand() *cobra.Command {
	var a asking
	var open bool
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Print the link that opens the console in a browser",
		Long: `Console prints a link to the console of a running instance. It has a code that
works once and for a minute; the page exchanges it for a token of its own, which
stays in that tab for twelve hours. Neither reaches a log: the code is in the
fragment of the link, which browsers keep to themselves.

The console shows all replicas that admin.peers names. Where the admin endpoint
listens on loopback of another machine, forward its port first: kubectl
port-forward, ssh -L.

Exit codes: 0 here is the link, 1 the instance did not answer, 2 the command line
is wrong.`,
		Example: `  tallygate console
  tallygate console --open
  tallygate console --server https://tallygate.mesh:8282 --ca-file ca.crt --cert-file me.crt --key-file me.key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.validate(); err != nil {
				return err
			}
			if len(a.servers) > 1 {
				return usage(errors.New("--server: one opens a console; admin.peers adds the others to it"))
			}
			server := a.servers[0]
			if strings.HasPrefix(server, "unix:") {
				return usage(errors.New("--server: a browser cannot open a unix socket; forward a port to it"))
			}
			a.cfg.Server = server
			c, err := admin.NewClient(a.cfg)
			if err != nil {
				return err
			}
			var login admin.Login
			if err := c.Post(cmd.Context(), "/api/v1/login", &login); err != nil {
				return err
			}
			link, err := consoleLink(c.Base(), login.Code)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), link); err != nil || !open {
				return err
			}
			return openBrowser(link)
		},
	}
	a.addTo(cmd)
	cmd.Flags().BoolVar(&open, "open", false, "open it in this machine's browser")
	return cmd
}

// consoleLink is the page with a code. An address that listens everywhere is
// opened on loopback.
func consoleLink(base, code string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	}
	u.Path, u.Fragment = "/", "login="+code
	return u.String(), nil
}

func openBrowser(link string) error {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	if err := exec.Command(program, link).Start(); err != nil {
		return fmt.Errorf("--open: %w; open the link yourself", err)
	}
	return nil
}
