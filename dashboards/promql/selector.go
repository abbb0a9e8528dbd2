package promql

import (
	"strconv"
	"strings"
)

// Matcher is a condition on a label.
type Matcher struct{ Label, Op, Value string }

// Equal matches a label that has a value. Grafana's variables may be in it.
func Equal(label, value string) Matcher { return Matcher{label, "=", value} }

// NotEqual matches a label that has another value.
func NotEqual(label, value string) Matcher { return Matcher{label, "!=", value} }

// Match matches a label by a regular expression over the whole value.
func Match(label, expr string) Matcher { return Matcher{label, "=~", expr} }

// NotMatch matches a label that a regular expression does not match.
func NotMatch(label, expr string) Matcher { return Matcher{label, "!~", expr} }

// Metric selects series by name and labels.
type Metric struct {
	Name     string
	Matchers []Matcher
}

// Select returns the series of a name that all matchers match.
func Select(name string, matchers ...Matcher) Metric { return Metric{name, matchers} }

// With returns the series that more matchers match, too.
func (m Metric) With(matchers ...Matcher) Metric {
	return Metric{m.Name, append(append([]Matcher(nil), m.Matchers...), matchers...)}
}

// Bucket selects the buckets of a histogram, by its name without suffix.
func (m Metric) Bucket() Metric { return Metric{m.Name + "_bucket", m.Matchers} }

// Sum selects the sums of a histogram.
func (m Metric) Sum() Metric { return Metric{m.Name + "_sum", m.Matchers} }

// Count selects the counts of a histogram.
func (m Metric) Count() Metric { return Metric{m.Name + "_count", m.Matchers} }

// String writes the selector.
func (m Metric) String() string {
	var b strings.Builder
	b.WriteString(m.Name)
	if len(m.Matchers) == 0 {
		return b.String()
	}
	b.WriteByte('{')
	for i, c := range m.Matchers {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.Label + c.Op + strconv.Quote(c.Value))
	}
	b.WriteByte('}')
	return b.String()
}

// Now is the value of each series.
func (m Metric) Now() Expr { return Expr{text: m.String()} }

// Rate is the increase per second over a window.
func (m Metric) Rate(window string) Expr { return call("rate", m.over(window)) }

// Increase is the increase over a window.
func (m Metric) Increase(window string) Expr { return call("increase", m.over(window)) }

// Total adds up the values of a window.
func (m Metric) Total(window string) Expr { return call("sum_over_time", m.over(window)) }

func (m Metric) over(window string) string { return m.String() + "[" + window + "]" }
