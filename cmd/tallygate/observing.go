package main

import (
	"context"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/api"
	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/internal/telemetry"
)

// routes is what the admin endpoint serves beside itself: the API of the console
// and the command line.
func (d *daemon) routes() []admin.Route {
	routes := api.New(api.Options{
		Self:    d.replica,
		Peers:   d.peers,
		History: d.history,
	}).Routes()
	if d.quotas != nil {
		routes = append(routes, d.quotaQuestions().Routes()...)
	}
	return routes
}

// replica is this one in the answers of the API.
func (d *daemon) replica() fleet.Replica {
	return fleet.Replica{Name: d.instance(), Version: telemetry.ReadBuild().Version}
}

// peers are the other replicas by admin.peers; this one may be among them.
func (d *daemon) peers(ctx context.Context) []fleet.Source {
	cfg := d.cfg.Load().Admin
	return sources(ctx, cfg.Peers, admin.ClientConfig{
		Token:  string(cfg.Token),
		CAFile: cfg.PeerTLS.CAFile, CertFile: cfg.PeerTLS.CertFile, KeyFile: cfg.PeerTLS.KeyFile,
	})
}
