package rules

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tallygate/tallygate/dashboards/promql"
)

// Group is rules that Prometheus evaluates one after the other.
type Group struct {
	Name  string
	Rules []Rule
}

// Rule records an expression under a name, or is an alert.
type Rule struct {
	Record      string
	Alert       string
	Expr        promql.Expr
	For         string
	Severity    Severity
	Summary     string
	Description string // what to do is in the runbook
}

// Severity is how soon somebody must look.
type Severity string

// Severities.
const (
	Page   Severity = "page"   // now
	Ticket Severity = "ticket" // in working hours
)

// Runbook is where alerts lead.
const Runbook = "https://github.com/tallygate/tallygate/blob/main/docs/runbook.md"

// Anchor is the heading of an alert in the runbook, as GitHub links to it.
func (r *Rule) Anchor() string { return strings.ToLower(r.Alert) }

// All returns every group.
func All() []Group { return []Group{recording(), edges(), itself()} }

// YAML returns the file for Prometheus' rule_files.
func YAML() string {
	var b strings.Builder
	b.WriteString("# Tallygate's recording rules and alerts, for Prometheus' rule_files.\n" +
		"# Generated from dashboards/rules: change them there.\ngroups:\n")
	for _, g := range All() {
		fmt.Fprintf(&b, "  - name: %s\n    rules:\n", g.Name)
		for i := range g.Rules {
			g.Rules[i].write(&b)
		}
	}
	return b.String()
}

func (r *Rule) write(b *strings.Builder) {
	if r.Record != "" {
		fmt.Fprintf(b, "      - record: %s\n        expr: %s\n", r.Record, quote(r.Expr.String()))
		return
	}
	fmt.Fprintf(b, "      - alert: %s\n        expr: %s\n", r.Alert, quote(r.Expr.String()))
	if r.For != "" {
		fmt.Fprintf(b, "        for: %s\n", r.For)
	}
	fmt.Fprintf(b, "        labels:\n          severity: %s\n        annotations:\n", r.Severity)
	notes := map[string]string{"summary": r.Summary, "description": r.Description, "runbook_url": Runbook + "#" + r.Anchor()}
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		fmt.Fprintf(b, "          %s: %s\n", name, quote(notes[name]))
	}
}

// quote writes a string that YAML reads as it is.
func quote(s string) string {
	if !strings.ContainsAny(s, `'\`) {
		return "'" + s + "'"
	}
	return strconv.Quote(s)
}
