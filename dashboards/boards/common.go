package boards

import (
	"github.com/tallygate/tallygate/dashboards/board"
	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
	"github.com/tallygate/tallygate/internal/telemetry"
	"github.com/tallygate/tallygate/red"
)

// UIDs of the boards; their files are named after them.
const (
	uidMesh      = "tallygate-mesh"
	uidService   = "tallygate-service"
	uidWorkload  = "tallygate-workload"
	uidEdge      = "tallygate-edge"
	uidPolicy    = "tallygate-policy"
	uidQuotas    = "tallygate-quotas"
	uidTraces    = "tallygate-traces"
	uidTallygate = "tallygate-self"
)

const interval = promql.Interval

// What is chosen at the top of every board.
var (
	toNamespace   = promql.Match(golden.DestinationNamespace, "$namespace")
	toWorkload    = promql.Match(golden.Destination, "$workload")
	fromNamespace = promql.Match(golden.SourceNamespace, "$namespace")
	fromWorkload  = promql.Match(golden.Source, "$workload")
	reported      = promql.Equal(golden.Reporter, "$reporter")

	inbound  = []promql.Matcher{reported, toNamespace, toWorkload}
	outbound = []promql.Matcher{reported, fromNamespace, fromWorkload}
)

// variables are those of every board, then more of one.
func variables(more ...board.Variable) []board.Variable {
	requests := golden.Requests()
	workloads := promql.Group(promql.Or(
		promql.Relabel(promql.Group(golden.Requests(toNamespace).Now(), golden.Destination), "workload", "$1", golden.Destination, "(.+)"),
		promql.Relabel(promql.Group(golden.Requests(fromNamespace).Now(), golden.Source), "workload", "$1", golden.Source, "(.+)"),
	), "workload")
	return append([]board.Variable{
		{Name: board.Prometheus.Variable, Label: "Data source", Source: board.Prometheus},
		{Name: "namespace", Label: "Namespace", Query: board.Labels(requests, golden.DestinationNamespace), Multi: true},
		{Name: "workload", Label: "Workload", Query: board.Result(workloads), Regex: board.Value("workload"), Multi: true},
		// Each request is reported by both sides that have a proxy: all of both would
		// count it twice.
		{Name: "reporter", Label: "As seen by", Values: []string{"the caller : source", "the callee : destination", "a waypoint : waypoint"}},
	}, more...)
}

// Targets of Tallygate itself: its two endpoints for Prometheus may be two jobs.
var (
	meshJob  = promql.Match("job", "$job")
	adminJob = promql.Match("job", "$admin_job")
)

func jobs() []board.Variable {
	return []board.Variable{
		{Name: "job", Label: "Job of :9464", Query: board.Labels(promql.Select(red.MetricBuild, promql.Equal("component", "tallygate")), "job"), Multi: true},
		{Name: "admin_job", Label: "Job of :8282", Query: board.Labels(promql.Select(telemetry.MetricBuildInfo), "job"), Multi: true},
	}
}

// keep is the query of a link that keeps what is chosen.
const keep = "${datasource:queryparam}&${namespace:queryparam}&${workload:queryparam}&${reporter:queryparam}&${__url_time_range}"

// keepReporter keeps all but namespace and workload, which a link sets.
const keepReporter = "${datasource:queryparam}&${reporter:queryparam}&${__url_time_range}"

// Links to one thing.
var (
	toEdge = &board.Link{Title: "This edge", URL: "/d/" + uidEdge + "?" + keep +
		"&var-source=${__data.fields.Source}&var-destination=${__data.fields.Destination}&var-service=${__data.fields.Service}"}
	toWorkloadBoard = &board.Link{Title: "This workload", URL: "/d/" + uidWorkload + "?" + keepReporter +
		"&var-namespace=${__data.fields.Namespace}&var-workload=${__data.fields.Workload}"}
)

// success is 1 less the share of requests that failed, by labels.
func success(m []promql.Matcher, by ...string) promql.Expr {
	all := promql.Sum(golden.Requests(m...).Rate(interval), by...)
	failed := golden.OrZero(promql.Sum(golden.Failed(interval, m...), by...), all)
	return promql.Less(promql.Number(1), promql.Share(failed, all))
}

// some are those of a rate that are more than nothing: a series stays a while when
// its requests have ceased, and would be a row without figures.
func some(rate promql.Expr) promql.Expr { return promql.Above(rate, promql.Number(0)) }

// defined are those quantiles that are of something.
func defined(q promql.Expr) promql.Expr { return promql.AtLeast(q, promql.Number(0)) }

func quantile(q float64, m []promql.Matcher, by ...string) promql.Expr {
	return promql.Quantile(q, promql.Sum(golden.Durations(m...).Bucket().Rate(interval), append([]string{golden.LE}, by...)...))
}

// latencies are the quantiles that people ask for, with exemplars.
func latencies(m []promql.Matcher) (out []board.Target) {
	for _, q := range []struct {
		q    float64
		name string
	}{{0.5, "p50"}, {0.9, "p90"}, {0.95, "p95"}, {0.99, "p99"}} {
		out = append(out, board.Target{Expr: quantile(q.q, m), Legend: q.name, Traces: q.name == "p99"})
	}
	return out
}

// outcomes are the requests by what became of them, of which the colours tell.
func outcomes(m []promql.Matcher) []board.Target {
	all := promql.Sum(golden.Requests(m...).Rate(interval))
	failed := golden.OrZero(promql.Sum(golden.Failed(interval, m...)), all)
	denied := golden.OrZero(promql.Sum(golden.Denied(m...).Rate(interval)), all)
	return []board.Target{
		{Expr: promql.Less(promql.Less(all, failed), denied), Legend: "answered"},
		{Expr: failed, Legend: "failed"},
		{Expr: denied, Legend: "denied"},
	}
}

var outcomeColours = map[string]string{"answered": "green", "failed": "red", "denied": "orange"}

// codeShades are the colours of legends that begin with protocol, code and gRPC
// status.
var codeShades = []board.Shade{
	{Pattern: `/^http [123]|^grpc \d+ 0 /`, Color: "green"},
	{Pattern: `/^http 4|^grpc \d+ (1|3|5|6|7|9|10|11|16) /`, Color: "blue"},
	{Pattern: `/^http [05]|^grpc \d+ (2|4|8|12|13|14|15) /`, Color: "red"},
	{Pattern: `/ [A-Z,]*DC[A-Z,]*$/`, Color: "blue"}, // the caller left
}

// Thresholds that several panels share.
var (
	successSteps = board.Falling(0.99, 0.999)
	failureSteps = board.Rising(0.001, 0.01)
	latencySteps = board.Rising(500, golden.SlowMilliseconds)
	anySteps     = board.Rising(0.000001, 0.000001) // red as soon as there is any
)

// Advice that several panels give.
const (
	seeEdges    = " When it is red, find the edge in the table of edges: the caller that sees the failures is one click away."
	seeTraces   = " When it is red, click an exemplar (a dot) to open a trace that was slow, and see which hop took the time."
	notBlamed   = " A failure is no answer, 5xx, or a gRPC status that blames the server; callers that did not wait do not count."
	fromReports = " As the chosen side reports it: callers also see what never arrived."
)
