package tap

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/red"
)

// Filter says which entries one who watches wants. The zero Filter passes all.
type Filter struct {
	outcomes          []string // any of; empty is all
	codeFrom, codeTo  uint32   // inclusive; 0, 0 is all
	from, to, service string   // workload or workload.namespace; "*" at an end is anything
	path, method      string
	reporter          string
	least             time.Duration

	memo *edgeMemo[bool] // of from, to and service: names are compared once
}

// ParseFilter reads the parameters outcome (ok, error, denied, comma
// separated), code (503, 5xx, 500-599), from, to, service, path, method, reporter
// and min_duration.
func ParseFilter(q url.Values) (Filter, error) {
	f := Filter{
		from: q.Get("from"), to: q.Get("to"), service: q.Get("service"),
		path: q.Get("path"), method: strings.ToUpper(q.Get("method")), reporter: q.Get("reporter"),
		memo: new(edgeMemo[bool]),
	}
	var errs []error
	bad := func(key, want string) { errs = append(errs, fmt.Errorf("%s=%s: want %s", key, q.Get(key), want)) }
	if text := q.Get("outcome"); text != "" {
		f.outcomes = strings.Split(text, ",")
		for _, o := range f.outcomes {
			if o != OK && o != Error && o != Denied {
				bad("outcome", "ok, error or denied, comma separated")
			}
		}
	}
	if text := q.Get("code"); text != "" {
		var err error
		if f.codeFrom, f.codeTo, err = parseCodes(text); err != nil {
			bad("code", "a code, 5xx or 500-599")
		}
	}
	if text := q.Get("min_duration"); text != "" {
		var err error
		if f.least, err = time.ParseDuration(text); err != nil || f.least < 0 {
			bad("min_duration", "a time, as 250ms")
		}
	}
	switch f.reporter {
	case "", "source", "destination", "waypoint", mesh.Unknown:
	default:
		bad("reporter", "source, destination or waypoint")
	}
	return f, errors.Join(errs...)
}

func parseCodes(text string) (from, to uint32, err error) {
	if len(text) == 3 && strings.HasSuffix(strings.ToLower(text), "xx") && text[0] >= '1' && text[0] <= '5' {
		from = uint32(text[0]-'0') * 100
		return from, from + 99, nil
	}
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		last = first
	}
	a, err1 := strconv.ParseUint(first, 10, 16)
	b, err2 := strconv.ParseUint(last, 10, 16)
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, err
	}
	if b < a || a < 100 || b > 599 {
		return 0, 0, errors.New("not a range of codes")
	}
	return uint32(a), uint32(b), nil
}

// quick decides all but the path, the cheapest first.
func (f *Filter) quick(e *mesh.Entry) bool {
	if f.codeTo != 0 && (e.Code < f.codeFrom || e.Code > f.codeTo) {
		return false
	}
	if e.Duration < f.least {
		return false
	}
	if len(f.outcomes) > 0 && !contains(f.outcomes, outcome(e)) {
		return false
	}
	if f.method != "" && e.Method != f.method {
		return false
	}
	if f.reporter != "" && e.Reporter.String() != f.reporter {
		return false
	}
	if f.from == "" && f.to == "" && f.service == "" {
		return true
	}
	k := edge{source: e.Source, destination: e.Destination, service: e.Service}
	wanted, ok := f.memo.get(k)
	if !ok {
		s, d, v := workload(k.source), workload(k.destination), service(k.service)
		wanted = workloadMatches(f.from, s.Name, s.Namespace) && workloadMatches(f.to, d.Name, d.Namespace) &&
			serviceMatches(f.service, v.Host)
		f.memo.put(k, wanted)
	}
	return wanted
}

func contains(list []string, s string) bool {
	for _, o := range list {
		if o == s {
			return true
		}
	}
	return false
}

func (f *Filter) pathMatches(path string) bool {
	if strings.Contains(f.path, "*") {
		return red.MatchWildcard(f.path, path)
	}
	return strings.HasPrefix(path, f.path)
}

// shows decides about an entry that was kept.
func (f *Filter) shows(e *Entry) bool {
	return (f.codeTo == 0 || e.Code >= f.codeFrom && e.Code <= f.codeTo) &&
		e.Millis >= float64(f.least)/1e6 &&
		(len(f.outcomes) == 0 || contains(f.outcomes, e.Outcome)) &&
		(f.method == "" || e.Method == f.method) &&
		(f.reporter == "" || e.Reporter == f.reporter) &&
		workloadMatches(f.from, e.Source, e.SourceNamespace) && workloadMatches(f.to, e.Destination, e.DestinationNamespace) &&
		serviceMatches(f.service, e.Service) && (f.path == "" || f.pathMatches(e.Path))
}

// workloadMatches takes name or name.namespace.
func workloadMatches(want, name, namespace string) bool {
	if want == "" {
		return true
	}
	n, ns, _ := strings.Cut(want, ".")
	return red.MatchWildcard(n, name) && (ns == "" || red.MatchWildcard(ns, namespace))
}

// serviceMatches takes a host or the first part of it.
func serviceMatches(want, host string) bool {
	return want == "" || red.MatchWildcard(want, host) || strings.HasPrefix(host, want+".")
}
