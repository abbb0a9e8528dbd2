package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Readiness is a set of named checks. The process is ready when all pass.
type Readiness struct {
	mu      sync.Mutex
	checks  map[string]error
	details map[string]string
}

// Set says how the named check stands; nil passes.
func (r *Readiness) Set(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.checks == nil {
		r.checks = map[string]error{}
	}
	r.checks[name] = err
}

// Pass is Set with nil, and says what it is that is well.
func (r *Readiness) Pass(name, detail string) {
	r.Set(name, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.details == nil {
		r.details = map[string]string{}
	}
	r.details[name] = detail
}

// report returns one line per check, and whether all pass.
func (r *Readiness) report() (lines []string, ready bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ready = true
	for name, err := range r.checks {
		line := "[+] " + name + " ok"
		if d := r.details[name]; d != "" {
			line += ": " + d
		}
		if err != nil {
			ready = false
			line = fmt.Sprintf("[-] %s: %v", name, err)
		}
		lines = append(lines, line)
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[4:], b[4:]) })
	return lines, ready
}

// ServeHTTP answers 200 or 503; with ?verbose also the checks.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	lines, ready := r.report()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	verdict := "ready"
	if !ready {
		verdict = "not ready"
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if _, verbose := req.URL.Query()["verbose"]; verbose {
		for _, l := range lines {
			fmt.Fprintln(w, l)
		}
	}
	fmt.Fprintln(w, verdict)
}
