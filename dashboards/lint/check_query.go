package lint

import (
	"regexp"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

func checkExpressions(d *Dashboard, complain func(string, ...any)) {
	queries, err := d.Queries()
	if err != nil {
		return // complained of by variables
	}
	for _, q := range queries {
		text, err := Interpolate(q.Expr, d.values())
		if err != nil {
			complain("%s: %v", q.Where, err)
			continue
		}
		e, err := ParseExpr(text)
		if err != nil {
			complain("%s: %v in %s", q.Where, err, text)
			continue
		}
		for _, p := range counters(e) {
			complain("%s: %s", q.Where, p)
		}
	}
}

var window = regexp.MustCompile(`\[([^\]]*)\]`)

func checkInterval(d *Dashboard, complain func(string, ...any)) {
	queries, err := d.Queries()
	if err != nil {
		return
	}
	for _, q := range queries {
		for _, w := range window.FindAllStringSubmatch(q.Expr, -1) {
			if q.Target != nil && w[1] != "$__rate_interval" && w[1] != "$__range" {
				complain("%s: window [%s]; want [$__rate_interval]", q.Where, w[1])
			}
		}
	}
}

func checkJobs(d *Dashboard, complain func(string, ...any)) {
	queries, err := d.Queries()
	if err != nil {
		return
	}
	for _, q := range queries {
		if q.Target == nil {
			continue
		}
		text, err := Interpolate(q.Expr, names(d))
		if err != nil {
			continue // complained of by expression
		}
		e, err := ParseExpr(text)
		if err != nil {
			continue
		}
		parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
			v, ok := node.(*parser.VectorSelector)
			if !ok || !strings.HasPrefix(name(v), "tallygate_") && !strings.HasPrefix(name(v), "process_") && !strings.HasPrefix(name(v), "go_") {
				return nil
			}
			for _, m := range v.LabelMatchers {
				if m.Name == "job" && (m.Value == "job" || m.Value == "admin_job") {
					return nil
				}
			}
			complain("%s: %s is not of a job that is chosen ($job or $admin_job)", q.Where, name(v))
			return nil
		})
	}
}

// names puts the name of each variable for it.
func names(d *Dashboard) map[string]string {
	m := map[string]string{}
	for _, v := range d.Templating.List {
		m[v.Name] = v.Name
	}
	return m
}
