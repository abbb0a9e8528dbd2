package promql

import (
	"strconv"
	"strings"
)

// Interval is the window of rates on a board: Grafana makes it at least four
// scrapes long.
const Interval = "$__rate_interval"

// Expr is an expression.
type Expr struct {
	text   string
	binary bool // an operator joins its outermost parts
}

// String writes the expression.
func (e Expr) String() string { return e.text }

// Number is a constant, to six digits.
func Number(v float64) Expr { return Expr{text: strconv.FormatFloat(v, 'g', 6, 64)} }

// Sum adds up e by labels; by none it is one value.
func Sum(e Expr, by ...string) Expr { return aggregate("sum", e, by) }

// Max is the greatest of e by labels.
func Max(e Expr, by ...string) Expr { return aggregate("max", e, by) }

// Min is the least of e by labels.
func Min(e Expr, by ...string) Expr { return aggregate("min", e, by) }

// Count is how many series e has, by labels.
func Count(e Expr, by ...string) Expr { return aggregate("count", e, by) }

// Group is 1 for every combination of labels that e has.
func Group(e Expr, by ...string) Expr { return aggregate("group", e, by) }

// Top is the n greatest of e.
func Top(n int, e Expr) Expr { return call("topk", strconv.Itoa(n), e.text) }

// Absent is 1 if there is no series.
func Absent(m Metric) Expr { return call("absent", m.String()) }

// Time is now, in seconds since 1970.
func Time() Expr { return call("time") }

// Quantile estimates a quantile from rates of buckets, which must have le.
func Quantile(q float64, buckets Expr) Expr {
	return call("histogram_quantile", Number(q).text, buckets.text)
}

// Relabel sets a label of every series to what a regular expression finds in
// another one, as $1. It leaves the series as they are that do not match.
func Relabel(e Expr, label, value, from, expr string) Expr {
	return call("label_replace", e.text, strconv.Quote(label), strconv.Quote(value), strconv.Quote(from), strconv.Quote(expr))
}

// Div divides a by b, series by series.
func Div(a, b Expr) Expr { return operate("/", a, b) }

// Share is how much of all is part of it, series by series. Two rates that are not
// of the same instant, or not of the same reporter, can be more than a whole.
func Share(part, all Expr) Expr { return call("clamp_max", Div(part, all).text, "1") }

// Mul multiplies a by b.
func Mul(a, b Expr) Expr { return operate("*", a, b) }

// Add adds b to a.
func Add(a, b Expr) Expr { return operate("+", a, b) }

// Less subtracts b from a.
func Less(a, b Expr) Expr { return operate("-", a, b) }

// Above keeps the series of a that are greater than b.
func Above(a, b Expr) Expr { return operate(">", a, b) }

// Below keeps the series of a that are less than b.
func Below(a, b Expr) Expr { return operate("<", a, b) }

// AtLeast keeps the series of a that are b or greater, which NaN is not.
func AtLeast(a, b Expr) Expr { return operate(">=", a, b) }

// Is keeps the series of a that equal v.
func Is(a Expr, v float64) Expr { return operate("==", a, Number(v)) }

// Or is a, and b where a has no such series.
func Or(a, b Expr) Expr { return operate("or", a, b) }

// And keeps the series of a that b has, too.
func And(a, b Expr) Expr { return operate("and", a, b) }

// AndOn keeps the series of a for which b has one with the same values of the
// labels.
func AndOn(a, b Expr, labels ...string) Expr {
	return operate("and on ("+strings.Join(labels, ", ")+")", a, b)
}

func operate(op string, a, b Expr) Expr {
	return Expr{text: a.operand() + " " + op + " " + b.operand(), binary: true}
}

func (e Expr) operand() string {
	if e.binary {
		return "(" + e.text + ")"
	}
	return e.text
}

func aggregate(op string, e Expr, by []string) Expr {
	if len(by) > 0 {
		op += " by (" + strings.Join(by, ", ") + ") "
	}
	return Expr{text: op + "(" + e.text + ")"}
}

func call(name string, args ...string) Expr {
	return Expr{text: name + "(" + strings.Join(args, ", ") + ")"}
}
