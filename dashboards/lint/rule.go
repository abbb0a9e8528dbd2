package lint

import (
	"fmt"
)

// Rule is one thing that holds for every board.
type Rule struct {
	Name  string
	Why   string
	Check func(d *Dashboard, complain func(format string, args ...any))
}

// Rules are those for one board.
var Rules = []Rule{
	{"board", "a board is found by its name, says what it is for, and is listed with the others", checkBoard},
	{"variables", "what is chosen on one board stays chosen on the next", checkVariables},
	{"datasource", "the reader chooses the data source, not the board", checkDatasource},
	{"links", "a link that forgets the time or the data source shows something else", checkLinks},
	{"ids", "Grafana tells panels apart by id", checkIDs},
	{"grid", "panels that overlap hide each other", checkGrid},
	{"title", "a title is a question that the panel answers, or a statement", checkTitle},
	{"description", "who is woken at night reads what to do", checkDescription},
	{"unit", "a number without a unit is read wrongly", checkUnit},
	{"legend", "a line without a name is nobody's", checkLegend},
	{"targets", "a query has a name and is of the form its panel draws", checkTargets},
	{"expression", "it parses, and counters are read as rates", checkExpressions},
	{"interval", "a rate over a fixed window has gaps or hides peaks when the time is changed", checkInterval},
	{"jobs", "metrics of Tallygate are those of the chosen jobs", checkJobs},
}

// Check returns every problem of a board, each with its file and rule.
func Check(d *Dashboard) (problems []string) {
	for _, r := range Rules {
		r.Check(d, func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("%s: %s: %s", d.File, r.Name, fmt.Sprintf(format, args...)))
		})
	}
	return problems
}

// Exist returns what a board's expressions and legends name that is not known.
func Exist(d *Dashboard, known Known) (problems []string) {
	queries, err := d.Queries()
	if err != nil {
		return []string{err.Error()}
	}
	for _, q := range queries {
		text, err := Interpolate(q.Expr, d.values())
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", q.Where, err))
			continue
		}
		e, err := ParseExpr(text)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", q.Where, err))
			continue
		}
		for _, p := range known.Check(e) {
			problems = append(problems, q.Where+": "+p)
		}
		if q.Target == nil {
			continue
		}
		out := known.output(e)
		for _, label := range legendLabels(q.Target.LegendFormat) {
			if !contains(out, label) {
				problems = append(problems, fmt.Sprintf("%s: the legend has %q, the result has not", q.Where, label))
			}
		}
		for _, label := range q.Panel.columns() {
			if !contains(out, label) {
				problems = append(problems, fmt.Sprintf("%s: the table has a column %q, the result has not", q.Where, label))
			}
		}
	}
	return problems
}
