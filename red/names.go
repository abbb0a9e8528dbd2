package red

import "github.com/tallygate/tallygate/mesh"

// Names of the metric families. Histograms add _bucket, _sum and _count.
const (
	MetricRequests          = "istio_requests_total"
	MetricRequestDuration   = "istio_request_duration_milliseconds"
	MetricRequestBytes      = "istio_request_bytes"
	MetricResponseBytes     = "istio_response_bytes"
	MetricRequestMessages   = "istio_request_messages_total"
	MetricResponseMessages  = "istio_response_messages_total"
	MetricTCPSentBytes      = "istio_tcp_sent_bytes_total"
	MetricTCPReceivedBytes  = "istio_tcp_received_bytes_total"
	MetricTCPOpened         = "istio_tcp_connections_opened_total"
	MetricTCPClosed         = "istio_tcp_connections_closed_total"
	MetricSpanCalls         = "traces_span_metrics_calls_total"
	MetricSpanDuration      = "traces_span_metrics_duration_milliseconds"
	MetricBuild             = "istio_build" // gauge with the labels component and tag; exporters add it
	MetricEntriesCounted    = "tallygate_red_entries_counted_total"
	MetricSeries            = "tallygate_red_series"
	MetricSeriesCreated     = "tallygate_red_series_created_total"
	MetricSeriesExpired     = "tallygate_red_series_expired_total"
	MetricEntriesOverflowed = "tallygate_red_entries_overflowed_total"
	MetricLabelsCapped      = "tallygate_red_labels_capped_total"
)

// Names of the labels of the table's own figures.
const (
	LabelView  = "view"
	LabelLabel = "label"
)

// Overflow is the value of a label whose own value is beyond a cap.
const Overflow = "overflow"

// Kind is the type of a metric family.
type Kind uint8

const (
	Counter Kind = iota
	Histogram
)

// String returns the type as the Prometheus text format spells it.
func (k Kind) String() string { return [...]string{"counter", "histogram"}[k] }

// group says which entries a family counts; families of different groups never
// share a view.
type group uint8

const (
	groupHTTP     group = iota // HTTP and gRPC
	groupMessages              // gRPC with message counts
	groupTCP
	groupSpans // HTTP and gRPC by source and destination reporters
	numGroups
)

func (g group) String() string {
	return [...]string{"http", "messages", "tcp", "spans"}[g]
}

// source says which figure of an entry a family takes.
type source uint8

const (
	takeOne source = iota
	takeDuration
	takeRequestBytes
	takeResponseBytes
	takeRequestMessages
	takeResponseMessages
	takeSentBytes
	takeReceivedBytes
	takeOpened
	takeClosed
)

// Units of families.
const (
	unitMilliseconds = "milliseconds"
	unitBytes        = "bytes"
)

type spec struct {
	name   string
	help   string
	unit   string
	kind   Kind
	group  group
	source source
	// exemplars says whether the family keeps the trace ids of sampled requests.
	exemplars bool
}

// specs lists the families in the order in which they are exposed.
var specs = []spec{
	{MetricRequests, "Requests.", "", Counter, groupHTTP, takeOne, true},
	{MetricRequestDuration, "Duration of requests.", unitMilliseconds, Histogram, groupHTTP, takeDuration, true},
	{MetricRequestBytes, "Size of requests, headers included.", unitBytes, Histogram, groupHTTP, takeRequestBytes, false},
	{MetricResponseBytes, "Size of responses, headers included.", unitBytes, Histogram, groupHTTP, takeResponseBytes, false},
	{MetricRequestMessages, "gRPC messages sent by clients.", "", Counter, groupMessages, takeRequestMessages, false},
	{MetricResponseMessages, "gRPC messages sent by servers.", "", Counter, groupMessages, takeResponseMessages, false},
	{MetricTCPSentBytes, "Bytes sent by the server side of TCP connections.", unitBytes, Counter, groupTCP, takeSentBytes, false},
	{MetricTCPReceivedBytes, "Bytes received by the server side of TCP connections.", unitBytes, Counter, groupTCP, takeReceivedBytes, false},
	{MetricTCPOpened, "TCP connections opened.", "", Counter, groupTCP, takeOpened, false},
	{MetricTCPClosed, "TCP connections closed.", "", Counter, groupTCP, takeClosed, false},
	{MetricSpanCalls, "Requests by service and operation, as Jaeger's Monitor tab asks for them.", "", Counter, groupSpans, takeOne, false},
	{MetricSpanDuration, "Duration of requests by service and operation, as Jaeger's Monitor tab asks for them.", unitMilliseconds, Histogram, groupSpans, takeDuration, false},
}

// groupLabels returns the labels of a group before any exclusion.
func groupLabels(g group, custom int) labelSet {
	all := setOf(0, labelID(mesh.NumLabels)) | setOf(labelCustom0, labelCustom0+labelID(custom))
	switch g {
	case groupMessages:
		return all &^ (setOf(labelID(mesh.LabelRequestProtocol), labelID(mesh.NumLabels)))
	case groupTCP:
		return all &^ (setOf(labelID(mesh.LabelResponseCode), labelID(mesh.LabelResponseCode)+1) |
			setOf(labelID(mesh.LabelGRPCResponseStatus), labelID(mesh.LabelGRPCResponseStatus)+1))
	case groupSpans:
		return setOf(labelSpanService, labelCustom0)
	}
	return all
}
