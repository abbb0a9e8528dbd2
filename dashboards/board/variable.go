package board

import (
	"strings"

	"github.com/tallygate/tallygate/dashboards/promql"
)

// Variable is a choice at the top of a board.
type Variable struct {
	Name   string
	Label  string
	Query  string   // of the data source; empty if Values are all there is
	Regex  string   // what of a result is the value
	Values []string // each "text : value"; the first is chosen
	Source Source   // chooses a data source of this type
	Multi  bool     // several values, and All
	Hidden bool
}

// Labels is the query for the values of a label of the series of a metric.
func Labels(m promql.Metric, label string) string {
	return "label_values(" + m.String() + ", " + label + ")"
}

// Result is the query for what an expression has now; the variable's Regex picks
// from its text.
func Result(e promql.Expr) string { return "query_result(" + e.String() + ")" }

// Value is the regular expression for the values of a label in a Result.
func Value(label string) string { return `/` + label + `="([^"]*)"/` }

func (b *Board) variables() list {
	out := list{}
	for _, v := range b.Variables {
		out = append(out, v.json())
	}
	return out
}

func (v *Variable) json() obj {
	o := obj{"name": v.Name, "label": v.Label, "skipUrlSync": false, "hide": 0, "multi": v.Multi, "includeAll": v.Multi}
	if v.Hidden {
		o["hide"] = 2
	}
	switch {
	case v.Source.Type != "":
		o["type"], o["query"], o["refresh"], o["regex"] = "datasource", v.Source.Type, 1, ""
		o["options"], o["current"] = list{}, obj{}
	case v.Query != "":
		o["type"], o["datasource"], o["definition"] = "query", Prometheus.ref(), v.Query
		o["query"] = obj{"query": v.Query, "refId": "variable-" + v.Name}
		o["refresh"], o["sort"], o["regex"], o["options"] = 2, 1, v.Regex, list{} // 2: also when the time changes
		o["current"] = obj{}
		if v.Multi {
			o["allValue"], o["current"] = ".*", obj{"selected": true, "text": list{"All"}, "value": list{"$__all"}}
		}
	default:
		options := list{}
		for i, text := range v.Values {
			name, value, _ := strings.Cut(text, " : ")
			option := obj{"selected": i == 0, "text": name, "value": value}
			if i == 0 {
				o["current"] = option
			}
			options = append(options, option)
		}
		o["type"], o["query"], o["options"] = "custom", strings.Join(v.Values, ","), options
	}
	return o
}
