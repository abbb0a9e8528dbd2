package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
)

// checkFlags are the flags of check.
type checkFlags struct {
	req                       requestFlags
	target                    string
	caFile, certFile, keyFile string
	timeout                   time.Duration
	number                    int64
	connections, concurrency  int
}

func newCheckCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask a running Tallygate, as Envoy would, whether a request may pass",
		Long: `Check sends ext_authz calls over gRPC to a running server: one, with everything
that went both ways printed; or with -n many of the same, as a load, of which it
prints the rate and the latency.

Exit codes: 0 allowed, 1 the server did not answer, 2 the command line is wrong,
3 denied.`,
		Example: `  tallygate check --path /orders/7 --header x-user=alice
  tallygate check --target 10.0.0.7:9191 --context tallygate.entrypoint=admin
  tallygate check -n 100000 --connections 2`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.number < 1 || f.connections < 1 || f.concurrency < 1 {
				return &exitError{exitUsage, errors.New("-n, --connections and --concurrency must be more than 0")}
			}
			return f.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f.req.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.target, "target", "127.0.0.1:9191", "`address` of the ext_authz service")
	fl.StringVar(&f.caFile, "ca-file", "", "`file` with the authorities that verify the server; without it plain text is spoken")
	fl.StringVar(&f.certFile, "cert-file", "", "`file` with a client certificate")
	fl.StringVar(&f.keyFile, "key-file", "", "`file` with its key")
	fl.DurationVar(&f.timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	fl.Int64VarP(&f.number, "number", "n", 1, "how many calls")
	fl.IntVar(&f.connections, "connections", 1, "connections, of a load")
	fl.IntVar(&f.concurrency, "concurrency", 16, "calls at once on each connection, of a load")
	return cmd
}

func (f *checkFlags) run(ctx context.Context, out io.Writer) error {
	req, err := f.req.request(time.Now())
	if err != nil {
		return &exitError{exitUsage, err}
	}
	creds, err := f.credentials()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	var clients []authv3.AuthorizationClient
	for range f.connections {
		conn, err := grpc.NewClient(f.target, grpc.WithTransportCredentials(creds))
		if err != nil {
			return &exitError{exitUsage, fmt.Errorf("--target: %w", err)}
		}
		defer conn.Close()
		clients = append(clients, authv3.NewAuthorizationClient(conn))
	}
	if f.number > 1 {
		return f.load(ctx, out, clients, req)
	}
	asked, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	began := time.Now()
	resp, err := clients[0].Check(asked, req)
	took := time.Since(began)
	if err != nil {
		return fmt.Errorf("asking %s: %w", f.target, err)
	}
	format := protojson.MarshalOptions{Multiline: true}
	fmt.Fprintf(out, "request %s\nresponse %s\n", format.Format(req), format.Format(resp))
	verdict := "DENIED"
	if resp.GetStatus().GetCode() == 0 {
		verdict = "ALLOWED"
	}
	metadata := resp.GetDynamicMetadata().GetFields()
	fmt.Fprintf(out, "%s by %s after %s, decision %s\n", verdict,
		metadata["policy_rule"].GetStringValue(), took.Round(time.Microsecond), metadata["decision_id"].GetStringValue())
	if resp.GetStatus().GetCode() != 0 {
		return &exitError{exitMissing, errors.New("")}
	}
	return nil
}

func (f *checkFlags) credentials() (credentials.TransportCredentials, error) {
	if f.caFile == "" {
		return insecure.NewCredentials(), nil
	}
	pem, err := os.ReadFile(f.caFile)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca-file: no certificate in %s", f.caFile)
	}
	if f.certFile != "" {
		cert, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
		if err != nil {
			return nil, fmt.Errorf("--cert-file, --key-file: %w", err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return credentials.NewTLS(cfg), nil
}

// load sends the same call again and again and prints how it went.
func (f *checkFlags) load(ctx context.Context, out io.Writer, clients []authv3.AuthorizationClient, req *authv3.CheckRequest) error {
	var left, denied atomic.Int64
	left.Store(f.number)
	var mu sync.Mutex
	var all []time.Duration
	var failures []error
	began := time.Now()
	var wg sync.WaitGroup
	for _, c := range clients {
		for range f.concurrency {
			wg.Go(func() {
				var mine []time.Duration
				var failed error
				for failed == nil && left.Add(-1) >= 0 {
					asked, cancel := context.WithTimeout(ctx, f.timeout)
					sent := time.Now()
					resp, err := c.Check(asked, req)
					mine = append(mine, time.Since(sent))
					cancel()
					if failed = err; err == nil && resp.GetStatus().GetCode() != 0 {
						denied.Add(1)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, mine...)
				if failed != nil {
					failures = append(failures, failed)
				}
			})
		}
	}
	wg.Wait()
	took := time.Since(began)
	if len(failures) > 0 {
		return fmt.Errorf("asking %s: %d callers gave up: %w", f.target, len(failures), failures[0])
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[int(q*float64(len(all)-1))].Round(time.Microsecond) }
	fmt.Fprintf(out, "%d calls in %s: %.0f/s, %d denied; latency p50 %s, p90 %s, p99 %s, most %s\n",
		len(all), took.Round(time.Millisecond), float64(len(all))/took.Seconds(), denied.Load(), at(.5), at(.9), at(.99), at(1))
	return nil
}
