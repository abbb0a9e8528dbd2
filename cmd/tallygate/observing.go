package main

import (
	"context"
	"encoding/json"
	"net/url"

	"github.com/tallygate/tallygate/dashboards/console"
	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/api"
	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/internal/telemetry"
)

// routes is what the admin endpoint serves beside itself: the API of the console
// and the command line.
func (d *daemon) routes() []admin.Route {
	opts := api.Options{
		Self:       d.replica,
		Peers:      d.peers,
		WatchPeers: d.watchPeers,
		History:    d.history,
		Tap:        d.tap,
		TraceURL:   func() string { return d.cfg.Load().Admin.TraceURL },
		Quotas:     d.quotas,
		Trace:      d.storing.trace,
		Closing:    d.closing,
	}
	if d.als != nil {
		opts.Proxies = d.als.Connections
	}
	if p := d.policing; p != nil {
		opts.Policy = p.describe
		opts.Decision = func(id string) (any, bool) { return p.decider.FindDecision(id) }
	}
	routes := api.New(opts).Routes()
	page := console.Handler()
	return append(routes,
		admin.Route{Pattern: "GET /{$}", Handler: page, Open: true},
		admin.Route{Pattern: "GET /console/", Handler: page, Open: true})
}

// replica is this one in the answers of the API.
func (d *daemon) replica() fleet.Replica {
	return fleet.Replica{Name: d.instance(), Version: telemetry.ReadBuild().Version}
}

// peers are the other replicas by admin.peers; this one may be among them.
func (d *daemon) peers(ctx context.Context) []fleet.Source {
	servers, cfg := d.peerConfig()
	return sources(ctx, servers, cfg)
}

func (d *daemon) watchPeers(ctx context.Context, q url.Values, fn func(fleet.Line)) {
	servers, cfg := d.peerConfig()
	watchAll(ctx, servers, cfg, q, fn, func(string, error) {})
}

func (d *daemon) peerConfig() (servers []string, cfg admin.ClientConfig) {
	c := d.cfg.Load().Admin
	return c.Peers, admin.ClientConfig{
		Token:  string(c.Token),
		CAFile: c.PeerTLS.CAFile, CertFile: c.PeerTLS.CertFile, KeyFile: c.PeerTLS.KeyFile,
	}
}

// describe is the policy plane for people.
func (p *policing) describe() (fleet.Policy, error) {
	var out fleet.Policy
	for _, f := range []struct {
		name string
		*followed
	}{{"enforced", &p.enforced}, {"shadow", &p.candidate}} {
		if s, ok := f.describe(f.name); ok {
			out.Sources = append(out.Sources, s)
		}
	}
	var err error
	if out.Decider, err = json.Marshal(p.decider.State()); err != nil {
		return out, err
	}
	out.Shadowed, err = json.Marshal(p.decider.LastDifferences())
	return out, err
}

func (f *followed) describe(name string) (s fleet.PolicySource, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.generation == nil && f.loader == nil && len(f.cfg.Paths) == 0 && f.cfg.OPAConfig == "" {
		return s, false
	}
	s = fleet.PolicySource{Name: name, Paths: f.cfg.Paths, Bundles: f.cfg.OPAConfig != ""}
	if g := f.generation; g != nil {
		s.Revision, s.Loaded, s.Files = g.Revision, g.Loaded, g.Files
	}
	if f.loader != nil {
		a := f.loader.Active()
		s.Waiting = a.Waiting
		if a.Err != nil {
			s.Error = a.Err.Error()
		}
	}
	return s, true
}
