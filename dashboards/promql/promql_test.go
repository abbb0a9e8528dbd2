package promql

import (
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

func TestExpr(t *testing.T) {
	f := func(e Expr, want string) {
		t.Helper()
		if e.String() != want {
			t.Errorf("%s; want %s", e, want)
		}
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(e.String()); err != nil {
			t.Errorf("%s: %v", e, err)
		}
	}
	m := Select("m_total", Equal("a", `x"y`), NotMatch("b", `\d`))
	f(m.Now(), `m_total{a="x\"y", b!~"\\d"}`)
	f(m.With(NotEqual("c", "")).Rate("5m"), `rate(m_total{a="x\"y", b!~"\\d", c!=""}[5m])`)
	if len(m.Matchers) != 2 {
		t.Error("With changed what it was called on")
	}
	h := Select("h")
	f(Quantile(0.99, Sum(h.Bucket().Rate("1m"), "le", "job")), `histogram_quantile(0.99, sum by (le, job) (rate(h_bucket[1m])))`)
	f(Div(h.Sum().Now(), h.Count().Now()), `h_sum / h_count`)
	f(Less(Number(1), Share(h.Sum().Now(), h.Count().Now())), `1 - clamp_max(h_sum / h_count, 1)`)
	f(Mul(Number(0.001), Less(Number(1), Div(h.Now(), m.Now()))), `0.001 * (1 - (h / m_total{a="x\"y", b!~"\\d"}))`)
	f(AndOn(Above(Select("a").Increase("5m"), Number(0)), Select("b").Now(), "job", "instance"), `(increase(a[5m]) > 0) and on (job, instance) b`)
	f(Top(5, Or(Select("a").Now(), Absent(Select("b")))), `topk(5, a or absent(b))`)
	f(Relabel(Group(h.Now(), "x"), "v", "$1", "x", "(.+)"), `label_replace(group by (x) (h), "v", "$1", "x", "(.+)")`)
	f(Below(Less(h.Now(), Time()), Number(60)), `(h - time()) < 60`)
	f(Is(Min(h.Now()), 0), `min(h) == 0`)
}
