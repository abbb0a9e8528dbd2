package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tallygate/tallygate/test/testbed"
)

// row is one edge of the mesh as one side reports it.
type row struct {
	source, destination, protocol, reporter string

	rate             float64 // requests per second; connections for TCP
	errors           float64 // of the rate, 0 to 1
	p50, p95, p99    float64 // ms; NaN for TCP
	received, answer float64 // bytes per second, TCP
}

const (
	window = "[15s]"
	edges  = "reporter,source_workload,destination_workload,destination_service,request_protocol"
	// An error is what RED calls one: no response, a 5xx, or a gRPC status that
	// blames the server.
	failed = `{response_code=~"0|5..",request_protocol="http"}`
	broken = `{grpc_response_status=~"2|4|8|12|13|14|15",request_protocol="grpc"}`
)

// queries are the table, in PromQL. Each gives one figure of the rows.
var queries = []struct {
	expr string
	set  func(*row, float64)
}{
	{"sum by(" + edges + ")(rate(istio_requests_total" + window + "))", func(r *row, v float64) { r.rate = v }},
	{"sum by(" + edges + ")(rate(istio_requests_total" + failed + window + ") or rate(istio_requests_total" + broken + window + "))" +
		" / sum by(" + edges + ")(rate(istio_requests_total" + window + "))", func(r *row, v float64) { r.errors = v }},
	{quantile("0.5"), func(r *row, v float64) { r.p50 = v }},
	{quantile("0.95"), func(r *row, v float64) { r.p95 = v }},
	{quantile("0.99"), func(r *row, v float64) { r.p99 = v }},
	{"sum by(" + edges + ")(rate(istio_tcp_connections_opened_total" + window + "))", func(r *row, v float64) { r.rate = v }},
	{"sum by(" + edges + ")(rate(istio_tcp_received_bytes_total" + window + "))", func(r *row, v float64) { r.received = v }},
	{"sum by(" + edges + ")(rate(istio_tcp_sent_bytes_total" + window + "))", func(r *row, v float64) { r.answer = v }},
}

func quantile(q string) string {
	return "histogram_quantile(" + q + ", sum by(le," + edges + ")(rate(istio_request_duration_milliseconds_bucket" + window + ")))"
}

// readRows asks Prometheus for the whole table: the edges with traffic.
func readRows(ctx context.Context, p *testbed.Prometheus) ([]*row, error) {
	byEdge := map[string]*row{}
	for _, q := range queries {
		series, err := p.Query(ctx, q.expr)
		if err != nil {
			return nil, err
		}
		for _, s := range series {
			l := s.Labels
			destination := l["destination_workload"]
			if destination == "unknown" {
				destination, _, _ = strings.Cut(l["destination_service"], ".")
				destination = "(" + destination + ")"
			}
			key := strings.Join([]string{l["source_workload"], destination, l["request_protocol"], l["reporter"]}, "\x00")
			if byEdge[key] == nil {
				nan := math.NaN()
				byEdge[key] = &row{l["source_workload"], destination, l["request_protocol"], l["reporter"], 0, 0, nan, nan, nan, 0, 0}
			}
			q.set(byEdge[key], s.Value())
		}
	}
	rows := make([]*row, 0, len(byEdge))
	for _, r := range byEdge {
		if r.rate > 0 {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *row) int { return strings.Compare(a.sortKey(), b.sortKey()) })
	return rows, nil
}

func (r *row) sortKey() string {
	order := map[string]string{"http": "1", "grpc": "2", "tcp": "3"}[r.protocol]
	reporter := map[string]string{"source": "1", "destination": "2"}[r.reporter]
	return strings.Join([]string{r.source, r.destination, order, reporter}, "\x00")
}

func (r *row) name() string {
	return fmt.Sprintf("%s → %s %s (%s)", r.source, r.destination, r.protocol, r.reporter)
}

// check fails if a row that must be there is missing or says nothing.
func check(rows []*row) error {
	have := map[string]*row{}
	failures := false
	for _, r := range rows {
		have[r.name()] = r
		failures = failures || r.errors > 0
	}
	var errs []error
	for _, edge := range [][2]string{{"client-v1", "frontend-v1"}, {"frontend-v1", "backend-v1"}} {
		for _, protocol := range []string{"http", "grpc", "tcp"} {
			for _, reporter := range []string{"source", "destination"} {
				want := row{source: edge[0], destination: edge[1], protocol: protocol, reporter: reporter}
				switch r := have[want.name()]; {
				case r == nil:
					errs = append(errs, fmt.Errorf("no row %s", want.name()))
				case r.rate <= 0, protocol == "tcp" && r.received <= 0, protocol != "tcp" && !(r.p50 > 0 && r.p99 >= r.p50):
					errs = append(errs, fmt.Errorf("row %s says nothing: %+v", want.name(), *r))
				}
			}
		}
	}
	if !failures {
		errs = append(errs, errors.New("no row with errors, though the driver makes some"))
	}
	return errors.Join(errs...)
}
