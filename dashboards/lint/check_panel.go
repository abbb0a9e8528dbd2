package lint

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

var (
	fields   = regexp.MustCompile(`\$\{__data\.fields\.(\w+)\}`)
	sentence = regexp.MustCompile(`[.?](\s|$)`)
	red      = regexp.MustCompile(`(?i)\bred\b`)
	legends  = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
)

func contains(list []string, s string) bool { return slices.Contains(list, s) }

func legendLabels(legend string) (out []string) {
	for _, m := range legends.FindAllStringSubmatch(legend, -1) {
		out = append(out, m[1])
	}
	return out
}

// columns are the labels that a table shows.
func (p *Panel) columns() (out []string) {
	for _, t := range p.Transformations {
		for field := range t.Options.IncludeByName {
			if !strings.HasPrefix(field, "Value #") {
				out = append(out, field)
			}
		}
	}
	return out
}

// titles are the columns of a table as they are called.
func (p *Panel) titles() (out []string) {
	for _, t := range p.Transformations {
		for _, title := range t.Options.RenameByName {
			out = append(out, title)
		}
	}
	return out
}

// turnsRed reports whether values of the panel can become red.
func (p *Panel) turnsRed() bool {
	steps := func(t Thresholds) bool {
		return slices.ContainsFunc(t.Steps, func(s Step) bool { return s.Color == "red" })
	}
	for _, o := range p.FieldConfig.Overrides {
		for _, prop := range o.Properties {
			var t Thresholds
			if prop.ID == "thresholds" && json.Unmarshal(prop.Value, &t) == nil && steps(t) {
				return true
			}
		}
	}
	return steps(p.FieldConfig.Defaults.Thresholds)
}

func checkIDs(d *Dashboard, complain func(string, ...any)) {
	seen := map[int]string{}
	for _, p := range d.Panels {
		if other, ok := seen[p.ID]; ok || p.ID <= 0 {
			complain("%q has the id %d, as has %q", p.Title, p.ID, other)
		}
		seen[p.ID] = p.Title
	}
}

func checkGrid(d *Dashboard, complain func(string, ...any)) {
	for i, p := range d.Panels {
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
			complain("%q is at %+v; the grid is 24 wide", p.Title, g)
		}
		for _, q := range d.Panels[:i] {
			o := q.GridPos
			if g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
				complain("%q and %q overlap", q.Title, p.Title)
			}
		}
	}
}

func checkTitle(d *Dashboard, complain func(string, ...any)) {
	seen := map[string]bool{}
	section := ""
	for _, p := range d.Panels {
		if p.Type == "row" {
			section = p.Title
		}
		if len(strings.Fields(p.Title)) < 2 || !strings.HasSuffix(p.Title, "?") && !strings.HasSuffix(p.Title, ".") {
			complain("title %q; want a question or a statement", p.Title)
		}
		if p.Type != "row" && seen[section+p.Title] {
			complain("two panels %q below %q", p.Title, section)
		}
		seen[section+p.Title] = true
	}
}

func checkDescription(d *Dashboard, complain func(string, ...any)) {
	for _, p := range d.Panels {
		if p.Type == "row" {
			continue
		}
		if len(p.Description) < 60 || len(sentence.FindAllString(p.Description, -1)) < 2 {
			complain("%q: description %q; want what it shows, and then what to do about it", p.Title, p.Description)
		}
		if p.turnsRed() && !red.MatchString(p.Description) {
			complain("%q: description %q; want what to do when it is red", p.Title, p.Description)
		}
	}
}

// units are those that the boards use, as Grafana calls them.
var units = []string{"none", "short", "reqps", "ops", "cps", "percentunit", "ms", "s", "dtdurations", "bytes", "Bps", "dateTimeFromNow"}

func checkUnit(d *Dashboard, complain func(string, ...any)) {
	for _, p := range d.Panels {
		if u := p.FieldConfig.Defaults.Unit; p.Type != "row" && !contains(units, u) {
			complain("%q: unit %q; want one of %v", p.Title, u, units)
		}
		for _, o := range p.FieldConfig.Overrides {
			for _, prop := range o.Properties {
				if u := strings.Trim(string(prop.Value), `"`); prop.ID == "unit" && !contains(units, u) {
					complain("%q: unit %q of %v; want one of %v", p.Title, u, o.Matcher.Options, units)
				}
			}
		}
	}
}

func checkLegend(d *Dashboard, complain func(string, ...any)) {
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			if t.Datasource.Type == "prometheus" && (p.Type == "timeseries" || p.Type == "stat" || p.Type == "heatmap") && t.LegendFormat == "" {
				complain("%q %s has no legend", p.Title, t.RefID)
			}
		}
	}
}

func checkTargets(d *Dashboard, complain func(string, ...any)) {
	for _, p := range d.Panels {
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 {
			complain("%q has no query", p.Title)
		}
		seen := map[string]bool{}
		for _, t := range p.Targets {
			if t.RefID == "" || seen[t.RefID] {
				complain("%q: two queries %q", p.Title, t.RefID)
			}
			seen[t.RefID] = true
			if t.Datasource.Type != "prometheus" {
				if t.QueryType == "" {
					complain("%q %s asks for nothing", p.Title, t.RefID)
				}
				continue
			}
			want := "time_series"
			if p.Type == "table" || p.Type == "heatmap" {
				want = p.Type
			}
			if t.Expr == "" || t.Format != want || t.Instant == t.Range || t.Instant != (p.Type == "table") {
				complain("%q %s: expr %q, format %q, instant %t; want format %s, and instant in tables only", p.Title, t.RefID, t.Expr, t.Format, t.Instant, want)
			}
		}
	}
}
