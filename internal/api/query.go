package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/red"
)

// shortLabels are what people may write for labels.
var shortLabels = map[string]string{
	"from": "source_workload", "source": "source_workload", "from_namespace": "source_workload_namespace",
	"to": "destination_workload", "destination": "destination_workload", "to_namespace": "destination_workload_namespace",
	"service": "destination_service", "code": "response_code", "flags": "response_flags", "protocol": "request_protocol",
	"grpc": "grpc_response_status",
}

// parseSince reads a duration of at most an hour.
func parseSince(q url.Values, byDefault time.Duration) (time.Duration, error) {
	text := q.Get("since")
	if text == "" {
		return byDefault, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > time.Hour {
		return 0, badRequest{fmt.Errorf("since=%s: want a time from 1s to 1h, as 30s, 5m", text)}
	}
	return max(d, red.HistoryStep), nil
}

// labels resolves names of labels.
func (a *API) resolve(key string, names []string) ([]string, error) {
	known := a.opts.History.LabelNames()
	out := make([]string, 0, len(names))
	for _, n := range names {
		n = strings.TrimSpace(n)
		if long, ok := shortLabels[n]; ok {
			n = long
		}
		if !slices.Contains(known, n) {
			return nil, badRequest{fmt.Errorf("%s=%s: there is no such label; there are %s", key, n, strings.Join(known, ", "))}
		}
		out = append(out, n)
	}
	return out, nil
}

// parseWhere reads where=label=value,value and where=label!=value; "*" at an end
// of a value stands for anything.
func (a *API) parseWhere(q url.Values) ([]red.LabelMatch, error) {
	var list []red.LabelMatch
	for _, text := range q["where"] {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, badRequest{fmt.Errorf("where=%s: want label=value or label!=value", text)}
		}
		name, not := strings.CutSuffix(name, "!")
		names, err := a.resolve("where", []string{name})
		if err != nil {
			return nil, err
		}
		list = append(list, red.LabelMatch{Label: names[0], Values: strings.Split(value, ","), Not: not})
	}
	for _, key := range []string{"from", "to", "service"} {
		if value := q.Get(key); value != "" {
			list = append(list, workloadMatch(key, value)...)
		}
	}
	return list, nil
}

// workloadMatch reads a workload as name or name.namespace.
func workloadMatch(key, value string) []red.LabelMatch {
	if key == "service" {
		return []red.LabelMatch{{Label: "destination_service", Values: []string{value, value + ".*"}}}
	}
	side := map[string]string{"from": "source_workload", "to": "destination_workload"}[key]
	name, namespace, _ := strings.Cut(value, ".")
	out := []red.LabelMatch{{Label: side, Values: []string{name}}}
	if namespace != "" {
		out = append(out, red.LabelMatch{Label: side + "_namespace", Values: []string{namespace}})
	}
	return out
}
