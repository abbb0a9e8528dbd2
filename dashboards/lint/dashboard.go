package lint

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Dashboard is what the rules look at.
type Dashboard struct {
	File        string `json:"-"`
	UID         string
	Title       string
	Description string
	Tags        []string
	Links       []DashboardLink
	Templating  struct{ List []Variable }
	Annotations struct{ List []Annotation }
	Panels      []Panel
}

// Annotation is a query for what is drawn on every graph.
type Annotation struct {
	Name       string
	Expr       string
	Datasource Datasource
}

// DashboardLink leads to other boards.
type DashboardLink struct {
	Type        string
	Tags        []string
	IncludeVars bool
	KeepTime    bool
}

// Datasource names a data source.
type Datasource struct{ Type, UID string }

// Variable is a choice at the top.
type Variable struct {
	Name, Label, Type string
	Query             any // text, or an object with query
	Regex             string
	Datasource        Datasource
	Refresh           int
	IncludeAll        bool
	AllValue          string
	Hide              int
}

// Text is the query as text.
func (v *Variable) Text() string {
	switch q := v.Query.(type) {
	case string:
		return q
	case map[string]any:
		s, _ := q["query"].(string)
		return s
	}
	return ""
}

// Panel is one picture, or the heading of a row.
type Panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               Datasource
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []Target
	FieldConfig              struct {
		Defaults struct {
			Unit       string
			Links      []Link
			Thresholds Thresholds
		}
		Overrides []struct {
			Matcher    struct{ Options any }
			Properties []struct {
				ID    string
				Value json.RawMessage
			}
		}
	}
	Transformations []struct {
		ID      string
		Options struct {
			IncludeByName map[string]bool
			RenameByName  map[string]string
		}
	}
}

// Thresholds colour values.
type Thresholds struct{ Steps []Step }

// Step is a colour from a value on.
type Step struct{ Color string }

// Link leads from a value elsewhere.
type Link struct{ Title, URL string }

// Target is one query.
type Target struct {
	RefID, Expr, LegendFormat, Format string
	Datasource                        Datasource
	Instant, Range, Exemplar          bool
	QueryType, Service                string
}

// Parse reads a board.
func Parse(file string, text []byte) (*Dashboard, error) {
	d := &Dashboard{File: file}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}

// links are the links of all values of a panel.
func (p *Panel) links() (out []Link, err error) {
	out = append(out, p.FieldConfig.Defaults.Links...)
	for _, o := range p.FieldConfig.Overrides {
		for _, prop := range o.Properties {
			if prop.ID != "links" {
				continue
			}
			var ls []Link
			if err := json.Unmarshal(prop.Value, &ls); err != nil {
				return nil, err
			}
			out = append(out, ls...)
		}
	}
	return out, nil
}

// Query is one expression of a board, with where it is.
type Query struct {
	Where  string
	Expr   string // as it is written, with variables
	Target *Target
	Panel  *Panel
}

// Queries are all expressions: of panels, variables and annotations.
func (d *Dashboard) Queries() (out []Query, err error) {
	for i := range d.Panels {
		p := &d.Panels[i]
		for j := range p.Targets {
			if t := &p.Targets[j]; t.Datasource.Type == "prometheus" {
				out = append(out, Query{fmt.Sprintf("%s: %q %s", d.File, p.Title, t.RefID), t.Expr, t, p})
			}
		}
	}
	for i := range d.Templating.List {
		v := &d.Templating.List[i]
		if v.Type != "query" {
			continue
		}
		where := fmt.Sprintf("%s: variable %s", d.File, v.Name)
		text := v.Text()
		switch {
		case strings.HasPrefix(text, "label_values(") && strings.HasSuffix(text, ")"):
			selector, label, ok := cutLast(text[len("label_values("):len(text)-1], ",")
			if !ok {
				return nil, fmt.Errorf("%s: %s: want label_values(metric, label)", where, text)
			}
			out = append(out, Query{Where: where, Expr: "group by (" + strings.TrimSpace(label) + ") (" + selector + ")"})
		case strings.HasPrefix(text, "query_result(") && strings.HasSuffix(text, ")"):
			out = append(out, Query{Where: where, Expr: text[len("query_result(") : len(text)-1]})
		default:
			return nil, fmt.Errorf("%s: %s: neither label_values nor query_result", where, text)
		}
	}
	for _, a := range d.Annotations.List {
		out = append(out, Query{Where: fmt.Sprintf("%s: annotation %s", d.File, a.Name), Expr: a.Expr})
	}
	return out, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
