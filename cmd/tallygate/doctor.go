package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/ingest/als"
	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/fleet"
)

func newDoctorCommand() *cobra.Command {
	var (
		servers []string
		output  string
		cfg     admin.ClientConfig
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Show which proxies report, and what their configuration lacks",
		Long: `Doctor asks running instances which proxies stream access logs to them: node,
workload, streams, entries, age of the last message. For what the entries lack
it prints the YAML that adds it.

A proxy is connected to one replica: name them all, or one DNS name that resolves
to all of them and is in their admin.allowed_hosts. The bearer token is read from --token-file; by default it is the
one that serve wrote on this machine for the port.

Exit codes: 0 all is well, 1 an instance did not answer, 3 no proxy reports or
something is missing.`,
		Example: `  tallygate doctor
  tallygate doctor --server 127.0.0.1:8282 -o json
  tallygate doctor --server https://tallygate.mesh:8282 --ca-file ca.crt --cert-file me.crt --key-file me.key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return &exitError{exitUsage, fmt.Errorf("-o %s: want text or json", output)}
			}
			if (cfg.CertFile == "") != (cfg.KeyFile == "") {
				return &exitError{exitUsage, errors.New("--cert-file and --key-file go together")}
			}
			reports, err := askAll(cmd.Context(), servers, cfg)
			w := cmd.OutOrStdout()
			if output == "json" {
				enc := json.NewEncoder(w)
				enc.SetIndent("", "  ")
				err = errors.Join(err, enc.Encode(reports))
			} else if len(reports) > 0 {
				printReports(w, reports, time.Now())
			}
			if err == nil && !healthy(reports) {
				return &exitError{exitMissing, errors.New("")}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&servers, "server", []string{"127.0.0.1:8282"}, "admin `address` of an instance: host:port, https://host:port or unix:///path; repeats")
	f.StringVarP(&output, "output", "o", "text", "text or json")
	f.StringVar(&cfg.TokenFile, "token-file", "", "`file` with the bearer token")
	f.StringVar(&cfg.CAFile, "ca-file", "", "`file` with the authorities that verify the server")
	f.StringVar(&cfg.CertFile, "cert-file", "", "`file` with a client certificate, instead of a token")
	f.StringVar(&cfg.KeyFile, "key-file", "", "`file` with the key of --cert-file")
	return cmd
}

// askAll asks every instance and returns the answers there are.
func askAll(ctx context.Context, servers []string, cfg admin.ClientConfig) ([]fleet.Proxies, error) {
	reports := []fleet.Proxies{}
	var errs []error
	for _, server := range servers {
		for _, address := range admin.Replicas(ctx, server) {
			cfg.Server, cfg.Address = server, address
			c, err := admin.NewClient(cfg)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			var r fleet.Proxies
			if err := c.Get(ctx, "/api/v1/proxies?replicas=own", &r); err != nil {
				errs = append(errs, err)
				continue
			}
			if r.Instance == "" {
				r.Instance = cmp.Or(address, server)
			}
			reports = append(reports, r)
		}
	}
	return reports, errors.Join(errs...)
}

func healthy(reports []fleet.Proxies) bool {
	proxies := 0
	for _, r := range reports {
		proxies += len(r.Proxies)
		for _, p := range r.Proxies {
			if len(p.Missing) > 0 || p.Mismatch {
				return false
			}
		}
	}
	return proxies > 0
}

func printReports(w io.Writer, reports []fleet.Proxies, now time.Time) {
	type finding struct {
		als.Missing
		nodes []string
	}
	var findings []*finding
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "INSTANCE\tNODE\tROLE\tWORKLOAD\tADDRESS\tSTREAMS\tENTRIES\tLAST\tSTATUS")
	proxies, mismatch := 0, []string{}
	for _, r := range reports {
		for _, p := range r.Proxies {
			proxies++
			status := "ok"
			if n := len(p.Missing); n > 0 {
				status = fmt.Sprintf("%d missing", n)
			}
			if p.Mismatch {
				status = "identity mismatch"
				mismatch = append(mismatch, p.Node)
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", r.Instance, orDash(p.Node), orDash(p.Role),
				workload(p), orDash(p.Remote), p.Streams, p.Entries, age(p.LastMessage, now), status)
			for _, m := range p.Missing {
				i := slices.IndexFunc(findings, func(f *finding) bool { return f.What == m.What })
				if i < 0 {
					i = len(findings)
					findings = append(findings, &finding{Missing: m})
				}
				f := findings[i]
				f.Share = max(f.Share, m.Share)
				f.nodes = append(f.nodes, orDash(p.Node))
			}
		}
	}
	if proxies == 0 {
		fmt.Fprint(w, noProxies)
		return
	}
	tw.Flush()
	if len(mismatch) > 0 {
		fmt.Fprintf(w, "\nIDENTITY MISMATCH at %s\n  The node identifier claims another workload than the client certificate. Its claims are not believed.\n", few(mismatch))
	}
	for _, f := range findings {
		fmt.Fprintf(w, "\nMISSING %s in up to %.0f %% of the entries of %s\n  %s\n", f.What, f.Share*100, few(f.nodes), f.Why)
		if f.YAML != "" {
			fmt.Fprintln(w, "  Add:")
			for line := range strings.Lines(f.YAML) {
				fmt.Fprint(w, "    ", line)
			}
		}
	}
	if len(findings) == 0 && len(mismatch) == 0 {
		fmt.Fprintln(w, "\nNothing is missing.")
	}
}

const noProxies = `No proxy streams access logs here.

Give Envoy a cluster that speaks HTTP/2 to ingest.als.endpoint, and the access log
envoy.access_loggers.http_grpc to its HTTP connection managers; complete
configurations are in examples/envoy. In Istio it is an extension provider
envoyHttpAls and a Telemetry resource: examples/istio.
`

func workload(p fleet.Proxy) string {
	if p.Workload == "" {
		return "-"
	}
	if p.Namespace == "" {
		return p.Workload
	}
	return p.Workload + "." + p.Namespace
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func age(last, now time.Time) string {
	if last.Unix() <= 0 {
		return "never"
	}
	d := now.Sub(last)
	if d < time.Second {
		return "now"
	}
	return d.Truncate(time.Second).String() + " ago"
}

// few names the first three.
func few(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) <= 3 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
}
