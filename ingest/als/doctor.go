package als

import "github.com/tallygate/tallygate/mesh"

// missing is a set of things that a proxy does not tell, by bit.
type missing uint16

const (
	missNode missing = 1 << iota
	missReporter
	missPeer
	missPeerNamespace
	missService
	missTrace
	missBytes
	missContentType
	missStreamID

	numMissing = iota
)

// missingFrom says what the identities of an entry lack, before the fallbacks.
func missingFrom(reporter mesh.Reporter, source, destination *mesh.Workload, service *mesh.DestinationService) (m missing) {
	peer := source
	if reporter == mesh.ReporterSource {
		peer = destination
	}
	if reporter == mesh.ReporterUnknown {
		m |= missReporter
	}
	if peer.Name == "" {
		m |= missPeer
	}
	if peer.Namespace == "" {
		m |= missPeerNamespace
	}
	if service.Host == mesh.Unknown {
		m |= missService
	}
	return m
}

// missing says what else an entry lacks.
func (r *record) missing() (m missing) {
	if r.tcp {
		if !r.set.has(slotStreamID) {
			m |= missStreamID
		}
		return m
	}
	if r.set&(slotTraceID.bit()|slotTraceparent.bit()|slotB3TraceID.bit()) == 0 {
		m |= missTrace
	}
	if r.wireReceived == 0 && r.requestHead == 0 {
		m |= missBytes
	}
	const post = 3 // a request without a body has no content type
	if r.method == post && !r.set.has(slotContentType) && !r.set.has(slotGRPCStats) {
		m |= missContentType
	}
	return m
}

// advice is what to do about a missing thing.
type advice struct{ what, why, yaml string }

const tagsYAML = `common_config:
  custom_tags:
`

var advices = [numMissing]advice{
	{
		what: "node identifier",
		why:  "The reporting workload is unknown: the stream's node has no metadata and no cluster.",
		yaml: `node:
  id: reviews-v1-0
  cluster: reviews-v1
  metadata:
    WORKLOAD_NAME: reviews-v1
    NAMESPACE: default
    CLUSTER_ID: Kubernetes
    SERVICE_ACCOUNT: reviews
    LABELS: {app: reviews, version: v1}
`,
	},
	{
		what: "reporter",
		why:  "Nothing says which side of the request the proxy is on. The listener needs traffic_direction: INBOUND or OUTBOUND.",
		yaml: tagsYAML + `  - {tag: reporter, value: "%CEL(xds.listener_direction)%"}
`,
	},
	{
		what: "peer workload",
		why:  "The workload at the other end is unknown: no peer metadata, no tag, no SPIFFE ID, and not learned from another proxy.",
		yaml: `common_config:
  filter_state_objects_to_log: [downstream_peer, upstream_peer]  # Istio
  custom_tags:  # without Istio
  - {tag: destination_workload, metadata: {kind: {cluster: {}}, metadata_key: {key: tallygate, path: [{key: workload}]}}}
  - {tag: destination_principal, value: "%UPSTREAM_PEER_URI_SAN%"}
`,
	},
	{
		what: "peer namespace",
		why:  "The namespace of the workload at the other end is unknown.",
		yaml: tagsYAML + `  - {tag: destination_workload_namespace, metadata: {kind: {cluster: {}}, metadata_key: {key: tallygate, path: [{key: namespace}]}}}
# The namespace of a source comes with mTLS: let clients present a SPIFFE certificate.
`,
	},
	{
		what: "destination service",
		why:  "The service that was asked for is unknown: the cluster is not named as Istio names it, and there is no tag.",
		yaml: tagsYAML + `  - {tag: destination_service, metadata: {kind: {cluster: {}}, metadata_key: {key: tallygate, path: [{key: service}]}}}
`,
	},
	{
		what: "trace id",
		why:  "No exemplars and no spans: neither a trace_id tag nor a trace header is logged.",
		yaml: tagsYAML + `  - {tag: trace_id, value: "%TRACE_ID%"}
  - {tag: span_id, value: "%SPAN_ID%"}
additional_request_headers_to_log: [traceparent, x-b3-traceid, x-b3-sampled]
`,
	},
	{
		what: "request bytes",
		why:  "The proxy logs neither wire bytes nor header bytes: it is older than Envoy 1.23.",
	},
	{
		what: "content type",
		why:  "gRPC is told from HTTP by the content-type of the request, and its status needs the trailers.",
		yaml: `additional_request_headers_to_log: [content-type]
additional_response_headers_to_log: [grpc-status]
additional_response_trailers_to_log: [grpc-status]
`,
	},
	{
		what: "connection id",
		why:  "TCP bytes are cumulative per connection, and the entries have no stream_id to tell connections apart: only the final ones count.",
	},
}
