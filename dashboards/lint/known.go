package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Known is what there is: metrics, their labels, and values of those labels.
type Known map[string]map[string]map[string]bool

// Add notes that a metric has a label, and one of its values if it is not empty.
// Without a label the metric is noted alone.
func (k Known) Add(metric, label, value string) {
	if k[metric] == nil {
		// Prometheus adds these to whatever it scrapes.
		k[metric] = map[string]map[string]bool{"job": nil, "instance": nil}
	}
	if label == "" {
		return
	}
	if k[metric][label] == nil {
		k[metric][label] = map[string]bool{}
	}
	if value != "" {
		k[metric][label][value] = true
	}
}

// AddRule notes what a recording rule makes of what is known.
func (k Known) AddRule(record string, e parser.Expr) {
	k.Add(record, "", "")
	for _, label := range k.output(e) {
		k.Add(record, label, "")
	}
}

// free are the labels whose values a configuration or a mesh makes: that one is
// not among those seen says nothing.
var free = map[string]bool{"job": true, "instance": true, "rule": true, "entrypoint": true, "revision": true, "exporter": true, "listener": true, "component": true}

// Check says what an expression names that is not known.
func (k Known) Check(e parser.Expr) (problems []string) {
	parser.Inspect(e, func(node parser.Node, path []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			problems = append(problems, k.selector(n)...)
		case *parser.AggregateExpr:
			if !n.Without {
				problems = append(problems, k.grouping(n.Grouping, n.Expr)...)
			}
		case *parser.BinaryExpr:
			if n.VectorMatching != nil && n.VectorMatching.On {
				problems = append(problems, k.grouping(n.VectorMatching.MatchingLabels, n.LHS)...)
				problems = append(problems, k.grouping(n.VectorMatching.MatchingLabels, n.RHS)...)
			}
		}
		return nil
	})
	return problems
}

func (k Known) selector(v *parser.VectorSelector) (problems []string) {
	n := name(v)
	if n == "ALERTS" { // Prometheus makes them
		return nil
	}
	if k[n] == nil {
		return []string{fmt.Sprintf("there is no metric %q", n)}
	}
	for _, m := range v.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			continue
		}
		values, ok := k[n][m.Name]
		if !ok {
			problems = append(problems, fmt.Sprintf("%s has no label %q", n, m.Name))
			continue
		}
		// Of our own metrics all values are there from the start.
		if !strings.HasPrefix(n, "tallygate_") || free[m.Name] || len(values) == 0 || m.Value == "x" {
			continue
		}
		for _, value := range strings.Split(m.Value, "|") {
			if !values[value] {
				problems = append(problems, fmt.Sprintf("%s has no %s=%q", n, m.Name, value))
			}
		}
	}
	return problems
}

// grouping checks labels that e is grouped by.
func (k Known) grouping(by []string, e parser.Expr) (problems []string) {
	have := k.output(e)
	for _, label := range by {
		if !slices.Contains(have, label) {
			problems = append(problems, fmt.Sprintf("%s has no label %q", e, label))
		}
	}
	return problems
}

// output are the labels that the results of e may have.
func (k Known) output(e parser.Expr) (out []string) {
	switch n := e.(type) {
	case *parser.ParenExpr:
		return k.output(n.Expr)
	case *parser.UnaryExpr:
		return k.output(n.Expr)
	case *parser.MatrixSelector:
		return k.output(n.VectorSelector)
	case *parser.SubqueryExpr:
		return k.output(n.Expr)
	case *parser.VectorSelector:
		for label := range k[name(n)] {
			out = append(out, label)
		}
		return out
	case *parser.AggregateExpr:
		switch {
		case n.Op == parser.TOPK || n.Op == parser.BOTTOMK:
			return k.output(n.Expr)
		case n.Without:
			return slices.DeleteFunc(k.output(n.Expr), func(l string) bool { return slices.Contains(n.Grouping, l) })
		}
		return n.Grouping
	case *parser.BinaryExpr:
		left := k.output(n.LHS)
		switch {
		case n.Op == parser.LOR || n.LHS.Type() == parser.ValueTypeScalar:
			return slices.Concat(left, k.output(n.RHS))
		case n.VectorMatching != nil && n.VectorMatching.On && n.Op != parser.LAND && n.Op != parser.LUNLESS:
			return slices.Concat(n.VectorMatching.MatchingLabels, n.VectorMatching.Include)
		}
		return left
	case *parser.Call:
		for _, arg := range n.Args {
			out = append(out, k.output(arg)...)
		}
		switch n.Func.Name {
		case "histogram_quantile":
			out = slices.DeleteFunc(out, func(l string) bool { return l == labels.BucketLabel })
		case "label_replace":
			out = append(out, n.Args[1].(*parser.StringLiteral).Val)
		case "absent":
			return nil
		}
	}
	return out
}
