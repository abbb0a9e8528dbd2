package lint

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

var variable = regexp.MustCompile(`\$\{?(\w+)(:\w+)?\}?`)

// Interpolate puts values for Grafana's variables: those given, and something
// that is sound for its own.
func Interpolate(expr string, values map[string]string) (string, error) {
	var unknown []string
	out := variable.ReplaceAllStringFunc(expr, func(text string) string {
		name := variable.FindStringSubmatch(text)[1]
		if v, ok := values[name]; ok {
			return v
		}
		switch name {
		case "__rate_interval", "__interval", "__range":
			return "5m"
		case "1": // of label_replace
			return text
		}
		unknown = append(unknown, name)
		return text
	})
	if unknown != nil {
		return "", fmt.Errorf("no variable %s", strings.Join(unknown, ", "))
	}
	return out, nil
}

// ParseExpr parses an expression without variables.
func ParseExpr(text string) (parser.Expr, error) {
	return parser.NewParser(parser.Options{}).ParseExpr(text)
}

// values returns something for each variable of d.
func (d *Dashboard) values() map[string]string {
	m := map[string]string{}
	for _, v := range d.Templating.List {
		m[v.Name] = "x"
	}
	return m
}

// name is the metric that a selector names, "" if it has none.
func name(v *parser.VectorSelector) string {
	if v.Name != "" {
		return v.Name
	}
	for _, m := range v.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// rated are the functions that make a counter a figure of its own.
var rated = map[string]bool{"rate": true, "increase": true, "irate": true, "resets": true}

// counters finds counters that are read as they are, and rates of what does not
// count. A difference of counters of one process is one too.
func counters(e parser.Expr) (problems []string) {
	parser.Inspect(e, func(node parser.Node, path []parser.Node) error {
		v, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		inRate, inDifference, inPresence := false, false, false
		for _, p := range path {
			switch p := p.(type) {
			case *parser.Call:
				inRate = inRate || rated[p.Func.Name]
				inPresence = inPresence || p.Func.Name == "absent"
			case *parser.BinaryExpr:
				inDifference = inDifference || p.Op == parser.SUB
			case *parser.AggregateExpr:
				inPresence = inPresence || p.Op == parser.GROUP || p.Op == parser.COUNT
			}
		}
		n := name(v)
		counts := strings.HasSuffix(n, "_total") || strings.HasSuffix(n, "_bucket") || strings.HasSuffix(n, "_sum") || strings.HasSuffix(n, "_count")
		switch {
		case counts && !inRate && !inDifference && !inPresence:
			problems = append(problems, n+" counts from the start of a process: read its rate or increase")
		case !counts && inRate:
			problems = append(problems, n+" is no counter: it has no rate")
		}
		return nil
	})
	return problems
}
