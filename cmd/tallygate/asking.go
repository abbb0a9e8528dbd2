package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/fleet"
)

// asking is how a command reaches running instances.
type asking struct {
	servers []string
	cfg     admin.ClientConfig
}

// askingHelp is the part of the help that is the same everywhere.
const askingHelp = `
A proxy streams to one replica: name them all with --server, or one DNS name that
resolves to all of them and is in their admin.allowed_hosts. What they say is
merged, and every view names them. The bearer token is read from --token-file; by
default it is the one that serve wrote on this machine for the port.
`

func (a *asking) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&a.servers, "server", []string{"127.0.0.1:8282"}, "admin `address` of an instance: host:port, https://host:port or unix:///path; repeats")
	f.StringVar(&a.cfg.TokenFile, "token-file", "", "`file` with the bearer token")
	f.StringVar(&a.cfg.CAFile, "ca-file", "", "`file` with the authorities that verify the server")
	f.StringVar(&a.cfg.CertFile, "cert-file", "", "`file` with a client certificate, instead of a token")
	f.StringVar(&a.cfg.KeyFile, "key-file", "", "`file` with the key of --cert-file")
	_ = cmd.MarkFlagFilename("token-file")
}

func (a *asking) validate() error {
	if (a.cfg.CertFile == "") != (a.cfg.KeyFile == "") {
		return usage(errors.New("--cert-file and --key-file go together"))
	}
	return nil
}

// sources are the replicas to ask.
func (a *asking) sources(ctx context.Context) []fleet.Source { return sources(ctx, a.servers, a.cfg) }

// posting are the same, where asking is doing what is asked for.
func (a *asking) posting(ctx context.Context) []fleet.Source {
	return sourcesBy(ctx, a.servers, a.cfg, (*admin.Client).Post)
}

// clients returns a client for every replica that servers stand for; one that
// cannot be made is an error in its place.
func clients(ctx context.Context, servers []string, cfg admin.ClientConfig, each func(name string, c *admin.Client, err error)) {
	for _, server := range servers {
		for _, address := range admin.Replicas(ctx, server) {
			cfg.Server, cfg.Address = server, address
			c, err := admin.NewClient(cfg)
			each(cmp.Or(address, server), c, err)
		}
	}
}

func sources(ctx context.Context, servers []string, cfg admin.ClientConfig) []fleet.Source {
	return sourcesBy(ctx, servers, cfg, (*admin.Client).Get)
}

func sourcesBy(ctx context.Context, servers []string, cfg admin.ClientConfig, do func(*admin.Client, context.Context, string, any) error) []fleet.Source {
	var list []fleet.Source
	clients(ctx, servers, cfg, func(name string, c *admin.Client, err error) {
		get := func(context.Context, string, any) error { return err }
		if err == nil {
			get = func(ctx context.Context, path string, v any) error { return do(c, ctx, path, v) }
		}
		list = append(list, fleet.Source{Name: name, Get: get})
	})
	return list
}

// usage is an error of the command line.
func usage(err error) error { return &exitError{exitUsage, err} }

// asked turns an answer that says that the question is wrong into one.
func asked(err error) error {
	if e, ok := errors.AsType[*admin.StatusError](err); ok && e.Code == 400 {
		return usage(err)
	}
	return err
}

// warnSilent names the replicas that did not answer.
func warnSilent(w io.Writer, replicas []fleet.Replica) {
	for _, r := range replicas {
		if r.Error != "" {
			fmt.Fprintf(w, "tallygate: %s did not answer: %s\n", r.Name, r.Error)
		}
	}
}

// signalContext ends when ctx does, or the process is asked to end.
func signalContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
