package spans

import (
	"net"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/mesh"
)

// attributes puts what an entry says under the names of OpenTelemetry's semantic
// conventions (HTTP, RPC, network, as of 1.37), and what these have no name for
// under the names of Envoy's own spans. What is as it nearly always is it leaves
// out.
type attributes struct{ pcommon.Map }

// put leaves out what is empty.
func (a attributes) put(key, value string) {
	if value != "" {
		a.PutStr(key, text(value))
	}
}

// known leaves out what is unknown too.
func (a attributes) known(key, value string) {
	if value != mesh.Unknown {
		a.put(key, value)
	}
}

func (a attributes) address(prefix string, x mesh.Addr) {
	if x.Host == "" {
		return
	}
	a.put(prefix+".address", x.Host)
	if x.Port != 0 {
		a.PutInt(prefix+".port", int64(x.Port))
	}
}

func (a attributes) request(e *mesh.Entry, d *mesh.Detail, client, query bool) {
	a.put("http.request.method", e.Method)
	if e.Code != 0 {
		a.PutInt("http.response.status_code", int64(e.Code))
	}
	path, rest, hasQuery := strings.Cut(d.Path, "?")
	if !query {
		rest, hasQuery = "", false
	}
	if client && d.Authority != "" {
		url := scheme(d) + "://" + d.Authority + path
		if hasQuery {
			url += "?" + rest
		}
		a.put("url.full", url)
	}
	a.put("url.path", path)
	a.put("url.scheme", d.Scheme)
	if hasQuery {
		a.put("url.query", rest)
	}
	if d.Authority != "" {
		host, port, err := net.SplitHostPort(d.Authority)
		if err != nil {
			host = d.Authority
		}
		a.put("server.address", host)
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			a.PutInt("server.port", int64(n))
		}
	}
	a.put("user_agent.original", d.UserAgent)
	a.PutInt("http.request.size", int64(e.RequestBytes))
	a.PutInt("http.response.size", int64(e.ResponseBytes))
	if client && d.Attempts > 1 {
		a.PutInt("http.request.resend_count", int64(d.Attempts-1))
	}
}

func scheme(d *mesh.Detail) string {
	if d.Scheme == "" {
		return "http"
	}
	return d.Scheme
}

func (a attributes) rpc(e *mesh.Entry, d *mesh.Detail) {
	a.PutStr("rpc.system", "grpc")
	if service, method, ok := rpcName(d.Path); ok {
		a.put("rpc.service", service)
		a.put("rpc.method", method)
	}
	if e.GRPCStatus != mesh.NoGRPCStatus {
		a.PutInt("rpc.grpc.status_code", int64(e.GRPCStatus))
	}
}

func (a attributes) network(d *mesh.Detail, client bool) {
	if d.HTTPVersion != "" {
		a.PutStr("network.protocol.version", d.HTTPVersion)
	}
	a.put("tls.protocol.version", d.TLSVersion)
	if client {
		a.address("network.peer", d.Server)
		return
	}
	a.address("client", d.Client)
	if d.Peer.Host != d.Client.Host {
		a.address("network.peer", d.Peer)
	}
}

// mesh adds who speaks to whom, and what Envoy's own spans say too.
func (a attributes) mesh(e *mesh.Entry, d *mesh.Detail) {
	source, destination, service := e.Source.Value(), e.Destination.Value(), e.Service.Value()
	a.PutStr("reporter", e.Reporter.String())
	a.known("source.workload", source.Name)
	a.known("source.namespace", source.Namespace)
	a.known("source.principal", source.Principal)
	a.known("destination.workload", destination.Name)
	a.known("destination.namespace", destination.Namespace)
	a.known("destination.principal", destination.Principal)
	a.known("destination.service", service.Host)
	peer := source.CanonicalService
	if e.Reporter == mesh.ReporterSource {
		peer = destination.CanonicalService
	}
	a.known("peer.service", peer)
	if e.Security != mesh.SecurityUnknown {
		a.PutStr("connection.security_policy", e.Security.String())
	}
	if e.Flags != 0 {
		a.PutStr("response_flags", e.Flags.String())
	}
	if d.CodeDetails != "via_upstream" {
		a.put("response_code_details", d.CodeDetails)
	}
	a.put("upstream_cluster", d.UpstreamCluster)
	a.put("route", d.Route)
	a.put("guid:x-request-id", d.RequestID)
	if d.Attempts > 1 {
		a.PutInt("upstream_request_attempts", int64(d.Attempts))
	}
	a.put("decision_id", d.DecisionID)
	a.put("policy_rule", d.PolicyRule)
}

// events are the moments of the request that came to be.
func events(s ptrace.Span, e *mesh.Entry, d *mesh.Detail) {
	s.Events().EnsureCapacity(len(d.Points))
	for i, at := range d.Points {
		if at < 0 || at > e.Duration && e.Duration > 0 {
			continue
		}
		ev := s.Events().AppendEmpty()
		ev.SetName(pointNames[i])
		ev.SetTimestamp(pcommon.NewTimestampFromTime(e.Start.Add(at)))
	}
}

var pointNames = [mesh.NumPoints]string{
	"request received", "upstream request begun", "upstream request sent",
	"upstream response begun", "upstream response received", "response begun", "response sent",
}

// codes are the names of gRPC's statuses.
var codes = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

func grpcCode(status int16) string {
	if status >= 0 && int(status) < len(codes) {
		return codes[status]
	}
	return strconv.Itoa(int(status))
}

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// resource fills the resource of the workload that made a span.
func resource(m pcommon.Map, w *mesh.Workload) {
	service := w.CanonicalService
	if service == mesh.Unknown {
		service = w.Name
	}
	m.PutStr("service.name", service)
	a := attributes{m}
	a.known("service.namespace", w.Namespace)
	if w.CanonicalRevision != mesh.Latest {
		a.known("service.version", w.CanonicalRevision)
	}
	a.known("k8s.namespace.name", w.Namespace)
	a.known("k8s.workload.name", w.Name)
	a.known("k8s.cluster.name", w.Cluster)
}
