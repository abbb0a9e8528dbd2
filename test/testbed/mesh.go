package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// UpstreamTimeout is the timeout of routes to /slow/.
	UpstreamTimeout = 300 * time.Millisecond
	// Attempts is how often a route to /flaky/ asks the service.
	Attempts = 3
)

// Namespace holds every workload of the mesh.
const Namespace = "shop"

// Hosts of services that no sidecar stands for.
const (
	HostLegacy = "legacy." + Namespace + ".svc.cluster.local" // plain text, reports nothing
	HostEmpty  = "empty." + Namespace + ".svc.cluster.local"  // has no endpoints
	HostClosed = "closed." + Namespace + ".svc.cluster.local" // nobody listens at its endpoint
)

// MeshConfig says how the sidecars are set up.
type MeshConfig struct {
	Logs        []string      // addresses of the access-log service
	LogTLS      bool          // reach it by mTLS, with the sidecar's certificate
	NoTags      bool          // leave out the custom tags
	Checks      string        // address of ext_authz, which inbound requests ask; they ask nobody if empty
	Flush       time.Duration // of the access-log buffer; Envoy's own 1s if 0
	Concurrency int           // worker threads of each Envoy; 1 if 0
	Tracer      Tracer        // of the sidecars
	SpansTo     string        // where the tracer sends its spans; nowhere if empty
	SampleNone  bool          // the tracer samples nothing
}

// Tracer is what makes spans in a sidecar.
type Tracer string

const (
	TracerOpenTelemetry Tracer = ""       // also gives the trace ids of the access logs
	TracerZipkin        Tracer = "zipkin" // B3 headers
	TracerNone          Tracer = "none"
)

// Mesh is three workloads behind real sidecars with mTLS between them:
//
//	driver ─▶ [client] ─mTLS─▶ [frontend] ─▶ app ─▶ [frontend] ─mTLS─▶ [backend] ─▶ app
//
// Every box is an Envoy that streams its access log. HTTP, gRPC and TCP take
// the same way.
type Mesh struct {
	CA                        *CA
	Client, Frontend, Backend *Sidecar

	bed  *Bed
	cfg  MeshConfig
	logs logSink
}

// StartMesh starts the applications and their sidecars.
func (b *Bed) StartMesh(ctx context.Context, ca *CA, cfg MeshConfig) (*Mesh, error) {
	if cfg.Flush == 0 {
		cfg.Flush = time.Second
	}
	dir, err := b.mkdir(b.unique("mesh"))
	if err != nil {
		return nil, err
	}
	m := &Mesh{
		CA:       ca,
		Client:   newSidecar(b.IP(1), "client", Namespace),
		Frontend: newSidecar(b.IP(2), "frontend", Namespace),
		Backend:  newSidecar(b.IP(3), "backend", Namespace),
		bed:      b,
		cfg:      cfg,
		logs:     logSink{endpoints: filepath.Join(dir, "tallygate.json"), tls: cfg.LogTLS},
	}
	if err := m.PointLogsTo(cfg.Logs...); err != nil {
		return nil, err
	}
	for _, s := range m.Sidecars() {
		if s.Identity, err = ca.Issue(s.Workload, SPIFFE(s.Namespace, s.Workload)); err != nil {
			return nil, err
		}
		if err := s.listen(); err != nil {
			return nil, err
		}
	}
	if err := m.wire(); err != nil {
		return nil, err
	}
	var g errgroup.Group
	for _, s := range m.Sidecars() {
		g.Go(func() error { return s.start(ctx, b, cfg, m.logs) })
	}
	return m, g.Wait()
}

// wire starts the applications and says who reaches whom.
func (m *Mesh) wire() error {
	closed, err := FreeAddr(m.bed.IP(9)) // nobody's address
	if err != nil {
		return err
	}
	to := func(s *Sidecar) destination {
		return destination{host: s.Service, http: s.HTTPIn, grpc: s.HTTPIn, uri: s.Identity.URI}
	}
	legacy, err := m.bed.serveHTTP(hop{}, new(faulty))
	if err != nil {
		return err
	}
	m.Client.routes = []destination{
		to(m.Frontend), to(m.Backend), {host: HostEmpty}, {host: HostClosed, http: closed, grpc: closed},
	}
	m.Frontend.routes = []destination{to(m.Backend), {host: HostLegacy, http: legacy}}
	m.Client.tcpTo, m.Frontend.tcpTo = m.Frontend, m.Backend
	for s, next := range map[*Sidecar]hop{
		m.Frontend: {http: m.Frontend.HTTPOut, tcp: m.Frontend.TCPOut, host: m.Backend.Service},
		m.Backend:  {},
	} {
		if s.apps.http, err = m.bed.serveHTTP(next, &s.apps.fault); err != nil {
			return err
		}
		if s.apps.grpc, err = m.bed.serveGRPC(next); err != nil {
			return err
		}
		if s.apps.tcp, err = m.bed.serveTCP(next); err != nil {
			return err
		}
	}
	return nil
}

// Sidecars returns all three, in the order of the traffic.
func (m *Mesh) Sidecars() []*Sidecar { return []*Sidecar{m.Client, m.Frontend, m.Backend} }

// Restart ends a sidecar's Envoy (SIGTERM) and starts another in its place.
func (m *Mesh) Restart(ctx context.Context, s *Sidecar) error {
	if err := s.Stop(10 * time.Second); err != nil {
		return err
	}
	return s.start(ctx, m.bed, m.cfg, m.logs)
}

// PointLogsTo gives the access-log service other endpoints. Streams that are
// open stay where they are; new ones go to the new endpoints, as when an
// orchestrator replaces a replica.
func (m *Mesh) PointLogsTo(addrs ...string) error {
	endpoints := list{}
	for _, addr := range addrs {
		endpoints = append(endpoints, obj{"endpoint": obj{"address": socketAddress(addr)}})
	}
	b, err := json.Marshal(obj{
		"version_info": fmt.Sprint(time.Now().UnixNano()),
		"resources": list{obj{
			"@type":        api + "config.endpoint.v3.ClusterLoadAssignment",
			"cluster_name": "tallygate",
			"endpoints":    list{obj{"lb_endpoints": endpoints}},
		}},
	})
	if err != nil {
		return err
	}
	// Envoy watches for renames.
	next := m.logs.endpoints + ".next"
	if err := os.WriteFile(next, b, 0o644); err != nil {
		return err
	}
	return os.Rename(next, m.logs.endpoints)
}
