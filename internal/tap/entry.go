package tap

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// Entry is a request as it is shown.
type Entry struct {
	ID       string    `json:"id"` // of this entry at this replica
	Replica  string    `json:"replica,omitempty"`
	Time     time.Time `json:"time"`               // its beginning
	Received time.Time `json:"received"`           // when its report came
	Outcome  string    `json:"outcome"`            // ok, error, denied
	Reporter string    `json:"reporter,omitempty"` // source, destination, waypoint

	Source               string `json:"source"`
	SourceNamespace      string `json:"source_namespace"`
	SourcePrincipal      string `json:"source_principal,omitempty"`
	Destination          string `json:"destination"`
	DestinationNamespace string `json:"destination_namespace"`
	DestinationPrincipal string `json:"destination_principal,omitempty"`
	Service              string `json:"service"`
	ServiceName          string `json:"service_name"`
	ServiceNamespace     string `json:"service_namespace"`

	Protocol      string  `json:"protocol"`
	Method        string  `json:"method,omitempty"`
	Authority     string  `json:"authority,omitempty"`
	Path          string  `json:"path,omitempty"` // with the query, of which secrets are masked
	Code          uint32  `json:"code,omitempty"`
	GRPCStatus    *int16  `json:"grpc_status,omitempty"`
	Flags         string  `json:"flags,omitempty"`
	CodeDetails   string  `json:"code_details,omitempty"`
	Millis        float64 `json:"duration_ms"`
	RequestBytes  uint64  `json:"request_bytes,omitempty"`
	ResponseBytes uint64  `json:"response_bytes,omitempty"`
	Attempts      uint32  `json:"attempts,omitempty"`

	UserAgent       string `json:"user_agent,omitempty"`
	Client          string `json:"client,omitempty"`
	Upstream        string `json:"upstream,omitempty"`
	Route           string `json:"route,omitempty"`
	UpstreamCluster string `json:"upstream_cluster,omitempty"`
	UpstreamFailure string `json:"upstream_failure,omitempty"`

	RequestID  string `json:"request_id,omitempty"`
	TraceID    string `json:"trace_id,omitempty"`
	SpanID     string `json:"span_id,omitempty"`
	DecisionID string `json:"decision_id,omitempty"`
	Rule       string `json:"rule,omitempty"` // package path and line of the rule that decided
}

// Outcomes.
const (
	OK     = "ok"
	Error  = "error"
	Denied = "denied"
)

// deniedFlags mark a request that was refused on purpose: by a rate limit, by
// ext_authz.
const deniedFlags = mesh.Flags(1)<<11 | 1<<12 // RL, UAEX

func outcome(e *mesh.Entry) string {
	switch {
	case e.Flags&deniedFlags != 0:
		return Denied
	case e.IsError():
		return Error
	}
	return OK
}

// show copies e. d is scratch.
func (t *Tap) show(b *mesh.Batch, e *mesh.Entry, d *mesh.Detail) *Entry {
	source, destination, service := workload(e.Source), workload(e.Destination), service(e.Service)
	out := &Entry{
		ID:       strconv.FormatUint(t.lastID.Add(1), 36),
		Time:     e.Start.UTC(),
		Received: b.Received.UTC(),
		Outcome:  outcome(e),
		Reporter: e.Reporter.String(),

		Source: source.Name, SourceNamespace: source.Namespace, SourcePrincipal: known(source.Principal),
		Destination: destination.Name, DestinationNamespace: destination.Namespace, DestinationPrincipal: known(destination.Principal),
		Service: service.Host, ServiceName: service.Name, ServiceNamespace: service.Namespace,

		Protocol: e.Protocol.String(), Method: text(e.Method), Code: e.Code,
		Millis:       float64(e.Duration.Round(time.Microsecond)) / 1e6,
		RequestBytes: e.RequestBytes, ResponseBytes: e.ResponseBytes,
		TraceID: text(e.TraceID), SpanID: text(e.SpanID), RequestID: text(e.RequestID),
	}
	if e.GRPCStatus != mesh.NoGRPCStatus && e.Protocol == mesh.ProtocolGRPC {
		status := e.GRPCStatus
		out.GRPCStatus = &status
	}
	if e.Flags != 0 {
		out.Flags = e.Flags.String()
	}
	if b.Details == nil || !b.Details.ReadDetail(e, d) {
		return out
	}
	out.Authority, out.Path, out.CodeDetails = text(d.Authority), t.maskPath(text(d.Path)), text(d.CodeDetails)
	out.UserAgent, out.Route, out.UpstreamCluster = text(d.UserAgent), text(d.Route), text(d.UpstreamCluster)
	out.UpstreamFailure, out.Attempts = text(d.UpstreamFailure), d.Attempts
	out.Client, out.Upstream = address(d.Client), address(d.Server)
	out.DecisionID, out.Rule = text(d.DecisionID), text(d.PolicyRule)
	if out.RequestID == "" {
		out.RequestID = text(d.RequestID)
	}
	return out
}

// maxText is the longest text that is shown whole.
const maxText = 1 << 10

// text copies what is lent, bounded and as UTF-8.
func text(s string) string {
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return strings.ToValidUTF8(strings.Clone(s), "\uFFFD")
}

func known(s string) string {
	if s == mesh.Unknown {
		return ""
	}
	return s
}

func address(a mesh.Addr) string {
	if a.Port == 0 {
		return text(a.Host)
	}
	return net.JoinHostPort(text(a.Host), strconv.FormatUint(uint64(a.Port), 10))
}

// maskPath hides the values of query parameters that are likely to be secret.
func (t *Tap) maskPath(path string) string {
	before, query, ok := strings.Cut(path, "?")
	if !ok {
		return path
	}
	masked := *t.masked.Load()
	pairs := strings.Split(query, "&")
	for i, p := range pairs {
		name, _, _ := strings.Cut(p, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || masked[strings.ToLower(plain)] {
			pairs[i] = name + "=[masked]"
		}
	}
	return before + "?" + strings.Join(pairs, "&")
}

func workload(p mesh.Peer) mesh.Workload {
	if p == (mesh.Peer{}) {
		return mesh.UnknownWorkload()
	}
	return p.Value()
}

func service(s mesh.Service) mesh.DestinationService {
	if s == (mesh.Service{}) {
		return mesh.DestinationService{Host: mesh.Unknown, Name: mesh.Unknown, Namespace: mesh.Unknown}
	}
	return s.Value()
}
