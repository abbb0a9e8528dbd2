package main

import (
	"strings"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/api"
	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/quota"
	"github.com/tallygate/tallygate/storage/query"
)

type route struct {
	method, path, summary string
	open                  bool
	params                []param
	body                  any
	answer                any // JSON; nil is text
	lines                 any // JSON lines
}

type param struct{ name, means string }

func (p param) in(path string) string {
	if strings.Contains(path, "{"+p.name+"}") {
		return "path"
	}
	return "query"
}

func (p param) required(path string) bool { return p.in(path) == "path" }

var (
	replicas = param{"replicas", "own: this replica alone, in parts that add up"}
	figures  = []param{
		{"since", "how far back, 1s to 1h"}, {"where", "label=value,value or label!=value; * at an end of a value stands for anything; repeats"},
		{"from", "workload or workload.namespace of the caller"}, {"to", "workload or workload.namespace of the called"}, {"service", "the service that was asked for"}, replicas,
	}
	filter = []param{
		{"outcome", "ok, error, denied; comma separated"}, {"code", "503, 5xx or 500-599"}, {"from", "workload or workload.namespace of the caller"},
		{"to", "workload or workload.namespace of the called"}, {"service", "full name or the first part of it"}, {"path", "beginning of the path, or with * at an end"},
		{"method", "HTTP method"}, {"reporter", "source, destination, waypoint"}, {"min_duration", "as 250ms"}, replicas,
	}
	ofQuota = []param{{"quota", "its name"}, {"key", "as the policy computes it"}}
)

func with(list []param, more ...param) []param { return append(list[:len(list):len(list)], more...) }

type labels struct {
	Labels []string          `json:"labels"`
	Short  map[string]string `json:"short"`
}

var routes = []route{
	{method: "get", path: "/healthz", summary: "The process runs.", open: true},
	{method: "get", path: "/readyz", summary: "It is ready to serve; ?verbose lists the checks.", open: true},
	{method: "get", path: "/metrics", summary: "Tallygate's own metrics.", open: true},
	{method: "get", path: "/", summary: "The console.", open: true},
	{method: "get", path: "/console/", summary: "The files of the console.", open: true},
	{method: "get", path: "/debug/config", summary: "The configuration in force, without secrets, as YAML."},
	{method: "get", path: "/debug/pprof/", summary: "Profiles."},
	{method: "get", path: "/debug/pprof/cmdline", summary: "The command line."},
	{method: "get", path: "/debug/pprof/profile", summary: "A CPU profile."},
	{method: "get", path: "/debug/pprof/symbol", summary: "Symbols."},
	{method: "post", path: "/debug/pprof/symbol", summary: "Symbols."},
	{method: "get", path: "/debug/pprof/trace", summary: "An execution trace."},
	{method: "get", path: "/api/v1/openapi.json", summary: "This description.", open: true, answer: map[string]any{}},
	{method: "post", path: "/api/v1/login", summary: "A code with which a page gets a token: once, within a minute.", answer: admin.Login{}},
	{method: "post", path: "/api/v1/session", summary: "A token for a page, for its code.", open: true, body: struct {
		Code string `json:"code"`
	}{}, answer: admin.Session{}},

	{method: "get", path: "/api/v1/peers", summary: "The replicas.", params: []param{replicas}, answer: api.Peer{}},
	{method: "get", path: "/api/v1/labels", summary: "What figures can be asked by.", answer: labels{}},
	{method: "get", path: "/api/v1/stat", summary: "Rate, errors and duration by any labels.", params: with(figures, param{"by", "labels, comma separated"}), answer: fleet.Stat{}},
	{method: "get", path: "/api/v1/edges", summary: "Who calls whom. With replicas=own the answer is a Stat by the labels of edges.", params: figures, answer: fleet.Edges{}},
	{method: "get", path: "/api/v1/history", summary: "Rate, errors, denials and latency over time.", params: with(figures, param{"by", "labels, comma separated; or edge"}, param{"edge", "with by=edge: only these ids; repeats"}, param{"points", "2 to 120"}), answer: fleet.History{}},
	{method: "get", path: "/api/v1/errors", summary: "The last failures and denials, the newest first.", params: with(filter, param{"limit", "1 to 200"}), answer: fleet.Entries{}},
	{method: "get", path: "/api/v1/entries/{id}", summary: "One of them, with the decision about it.", params: []param{{"id", "of the entry"}, {"replica", "whose id it is"}, replicas}, answer: fleet.Entry{}},
	{method: "get", path: "/api/v1/tap", summary: "Requests as they come, a line each; a line without one says that the stream lives.", params: with(filter, param{"last", "begin with so many that are remembered"}), lines: fleet.Line{}},
	{method: "get", path: "/api/v1/traces/{id}", summary: "The spans of a trace that each replica can read, in Jaeger's JSON; without a store none.", params: []param{{"id", "of the trace, in hexadecimal"}, replicas}, answer: fleet.Each[query.Trace]{}},
	{method: "get", path: "/api/v1/proxies", summary: "Who streams access logs, and what they lack.", params: []param{replicas}, answer: fleet.Proxies{}},
	{method: "get", path: "/api/v1/policy", summary: "The policies of each replica: generations, entrypoints, cache, rules, last denials.", params: []param{replicas}, answer: fleet.Policies{}},
	{method: "get", path: "/api/v1/decisions", summary: "What the decision log of this replica has in memory, the newest first.", answer: []policy.Record{}},
	{method: "get", path: "/api/v1/decisions/{id}", summary: "One decision, of any replica.", params: []param{{"id", "of the decision"}, replicas}, answer: policy.Record{}},
	{method: "get", path: "/api/v1/record", summary: "Checks with their answers as they come, for tallygate record.", lines: map[string]any{}},
	{method: "get", path: "/api/v1/shadow", summary: "The last requests that the candidate policy judged differently.", answer: []policy.Difference{}},

	{method: "get", path: "/api/v1/quotas", summary: "The quotas of each replica.", params: []param{replicas}, answer: fleet.Each[[]quota.View]{}},
	{method: "get", path: "/api/v1/quotas/top", summary: "Their keys in an order, of each replica.", params: []param{{"quota", "only this one"}, {"by", "used, charges or over"}, {"n", "how many of each replica"}, replicas}, answer: fleet.Each[[]quota.KeyView]{}},
	{method: "get", path: "/api/v1/quotas/key", summary: "One key.", params: with(ofQuota, replicas), answer: fleet.Each[[]quota.KeyView]{}},
	{method: "get", path: "/api/v1/quotas/explain", summary: "What is known of a key, for people.", params: with(ofQuota, replicas), answer: fleet.Each[[]string]{}},
	{method: "post", path: "/api/v1/quotas/reset", summary: "Fills a key of this replica; with Redis of all. The answer is how many.", params: ofQuota, answer: fleet.Each[int]{}},
}
