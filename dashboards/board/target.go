package board

import "github.com/tallygate/tallygate/dashboards/promql"

// Target is one query of a panel.
type Target struct {
	Expr    promql.Expr
	Legend  string // with {{label}}
	Instant bool   // the value now instead of over time
	Traces  bool   // with exemplars: dots that lead to traces

	// Search, in panels on Jaeger, finds traces.
	Search *Search
}

// Search is a query for traces.
type Search struct {
	Service     string
	Tags        string // logfmt: error=true
	MinDuration string
	Limit       int
}

func (p *Panel) targets() list {
	out := list{}
	for i, t := range p.Targets {
		o := obj{"refId": string(rune('A' + i)), "datasource": p.source().ref()}
		if s := t.Search; s != nil {
			o["queryType"], o["service"], o["tags"], o["limit"] = "search", s.Service, s.Tags, s.Limit
			o["operation"], o["minDuration"], o["maxDuration"] = "", s.MinDuration, ""
			out = append(out, o)
			continue
		}
		o["expr"], o["editorMode"], o["legendFormat"] = t.Expr.String(), "code", t.Legend
		o["instant"], o["range"], o["exemplar"] = t.Instant, !t.Instant, t.Traces
		o["format"] = "time_series"
		switch p.Kind {
		case Table:
			o["format"] = "table"
		case Heatmap:
			o["format"] = "heatmap"
		}
		out = append(out, o)
	}
	return out
}
