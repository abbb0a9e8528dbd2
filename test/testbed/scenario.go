package testbed

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Scenario is one request of the driver and every entry that it makes in the
// access logs of the mesh.
type Scenario struct {
	Name string
	Do   func(ctx context.Context, d *Driver) error
	Want Tally
}

// Run does the scenario and adds its entries to tally.
func (s Scenario) Run(ctx context.Context, d *Driver, tally Tally) error {
	if err := s.Do(ctx, d); err != nil {
		return fmt.Errorf("scenario %s: %w", s.Name, err)
	}
	tally.Add(s.Want, 1)
	return nil
}

// The host names of the services of the mesh and the workloads behind them.
const (
	HostFrontend = "frontend." + Namespace + ".svc.cluster.local"
	HostBackend  = "backend." + Namespace + ".svc.cluster.local"

	clientV1, frontendV1, backendV1 = "client-v1", "frontend-v1", "backend-v1"
	unknown                         = "unknown"
)

// Scenarios returns every kind of request, each of which ends the same way
// every time.
func Scenarios() []Scenario {
	first := edge{clientV1, frontendV1, HostFrontend}
	second := edge{frontendV1, backendV1, HostBackend}
	direct := edge{clientV1, backendV1, HostBackend}
	return []Scenario{
		get("ok", HostFrontend, "/status/200", 200, first.both("http", 200, "", "-")),
		get("ok over two hops", HostFrontend, "/next/status/200", 200, first.both("http", 200, "", "-"), second.both("http", 200, "", "-")),
		get("large answer", HostFrontend, "/bytes/100000", 200, first.both("http", 200, "", "-")),
		get("not found", HostFrontend, "/next/status/404", 404, first.both("http", 404, "", "-"), second.both("http", 404, "", "-")),
		get("error", HostFrontend, "/next/status/500", 500, first.both("http", 500, "", "-"), second.both("http", 500, "", "-")),
		get("redirect", HostFrontend, "/redirect", 302, first.both("http", 302, "", "-")),
		get("timeout of the upstream", HostFrontend, "/slow/2000", 504,
			first.source("http", 504, "", "UT"), first.destination("http", 0, "", "DR")),
		get("retries", HostFrontend, "/flaky/503", 503,
			first.source("http", 503, "", "URX"), times(Attempts, first.destination("http", 503, "", "-"))),
		get("no endpoints", HostEmpty, "/status/200", 503, edge{clientV1, unknown, HostEmpty}.source("http", 503, "", "UH")),
		get("nobody listens", HostClosed, "/status/200", 503, edge{clientV1, unknown, HostClosed}.source("http", 503, "", "UF")),
		get("no sidecar at the other end", HostFrontend, "/legacy/status/200", 200,
			first.both("http", 200, "", "-"), edge{frontendV1, unknown, HostLegacy}.source("http", 200, "", "-")),
		{"no sidecar at the caller", func(ctx context.Context, d *Driver) error {
			code, err := d.GetPlain(ctx, "/status/200")
			return wantCode(code, 200, err)
		}, edge{unknown, frontendV1, HostFrontend}.destination("http", 200, "", "-")},
		{"post", func(ctx context.Context, d *Driver) error {
			code, err := d.Do(ctx, http.MethodPost, HostFrontend, "/status/201", body(5000), "gold")
			return wantCode(code, 201, err)
		}, first.both("http", 201, "", "-")},
		{"client goes away", func(ctx context.Context, d *Driver) error {
			ctx, cancel := context.WithTimeout(ctx, 150*time.Millisecond)
			defer cancel()
			code, err := d.Get(ctx, HostFrontend, "/hang/5000")
			return wantCode(code, 0, err)
		}, sum(first.source("http", 0, "", "DC"), first.destination("http", 0, "", "DR"))},

		unary("gRPC ok", HostFrontend, 0, false, first.both("grpc", 200, "0", "-")),
		unary("gRPC ok over two hops", HostFrontend, 0, true, first.both("grpc", 200, "0", "-"), second.both("grpc", 200, "0", "-")),
		unary("gRPC error, trailers-only", HostFrontend, 5, true, first.both("grpc", 200, "5", "-"), second.both("grpc", 200, "5", "-")),
		unary("gRPC server error, trailers-only", HostBackend, 14, false, direct.both("grpc", 200, "14", "-")),
		unary("gRPC no endpoints", HostEmpty, 14, false, edge{clientV1, unknown, HostEmpty}.source("grpc", 200, "14", "UH")),
		{"gRPC stream", func(ctx context.Context, d *Driver) error {
			return d.Stream(ctx, HostBackend, 5, 0)
		}, direct.both("grpc", 200, "0", "-")},
		{"gRPC error in trailers", func(ctx context.Context, d *Driver) error {
			return d.Stream(ctx, HostBackend, 3, 13)
		}, direct.both("grpc", 200, "13", "-")},
	}
}

func get(name, host, path string, code int, want ...Tally) Scenario {
	return Scenario{name, func(ctx context.Context, d *Driver) error {
		got, err := d.Get(ctx, host, path)
		return wantCode(got, code, err)
	}, sum(want...)}
}

func unary(name, host string, status int32, next bool, want ...Tally) Scenario {
	return Scenario{name, func(ctx context.Context, d *Driver) error {
		return d.Unary(ctx, host, status, next)
	}, sum(want...)}
}

func wantCode(got, want int, err error) error {
	if err == nil && got != want {
		err = fmt.Errorf("code %d; want %d", got, want)
	}
	return err
}

// edge is one hop of a request.
type edge struct{ from, to, service string }

func (e edge) source(protocol string, code int, grpc, flags string) Tally {
	return Tally{Key{"source", e.from, e.to, e.service, protocol, fmt.Sprint(code), grpc, flags}: 1}
}

func (e edge) destination(protocol string, code int, grpc, flags string) Tally {
	return Tally{Key{"destination", e.from, e.to, e.service, protocol, fmt.Sprint(code), grpc, flags}: 1}
}

func (e edge) both(protocol string, code int, grpc, flags string) Tally {
	return sum(e.source(protocol, code, grpc, flags), e.destination(protocol, code, grpc, flags))
}

func sum(ts ...Tally) Tally {
	out := Tally{}
	for _, t := range ts {
		out.Add(t, 1)
	}
	return out
}

func times(n int, t Tally) Tally {
	out := Tally{}
	out.Add(t, n)
	return out
}
