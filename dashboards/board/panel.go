package board

// Kind is how a panel draws its values.
type Kind string

// Kinds of panels.
const (
	Graph   Kind = "timeseries"
	Stat    Kind = "stat"
	Table   Kind = "table"
	Heatmap Kind = "heatmap"
	Nodes   Kind = "nodeGraph"
)

// Unit is a unit as Grafana calls it.
type Unit string

// Units.
const (
	None           Unit = "none"
	Short          Unit = "short"
	PerSecond      Unit = "reqps"
	OpsPerSecond   Unit = "ops"
	CountPerSecond Unit = "cps"
	Ratio          Unit = "percentunit"
	Milliseconds   Unit = "ms"
	Seconds        Unit = "s"
	Duration       Unit = "dtdurations"
	Bytes          Unit = "bytes"
	BytesPerSecond Unit = "Bps"
	Time           Unit = "dateTimeFromNow"
)

// Panel is one picture.
type Panel struct {
	Kind        Kind
	Title       string // a statement or a question
	Description string // what it shows, and what to do when it is red
	Unit        Unit
	Width       int // of 24 columns
	Height      int // 8 if 0
	Targets     []Target
	Source      Source // Prometheus if empty

	// Steps colour values: from the step's value on. The first has no value.
	Steps []Step
	// Stack puts the series on top of each other.
	Stack bool
	// Top is the greatest value that the axis has at least room for.
	Top float64
	// Colours by series name, for those that mean good or bad.
	Colours map[string]string
	// Shades of one colour for all series whose names match.
	Shades []Shade
	// Columns of a table, in order; what is not named is not shown.
	Columns []Column
	// Links of all values.
	Links []Link
}

// Shade is a colour for the names that a regular expression in slashes matches.
type Shade struct{ Pattern, Color string }

// Step is a threshold.
type Step struct {
	From  float64
	Color string
}

// Good, then doubtful from a, then bad from b.
func Rising(a, b float64) []Step { return []Step{{0, "green"}, {a, "orange"}, {b, "red"}} }

// Bad, then doubtful from a, then good from b.
func Falling(a, b float64) []Step { return []Step{{0, "red"}, {a, "orange"}, {b, "green"}} }

// Column is a column of a table: a label, or the value of a target.
type Column struct {
	Field string // label, or Value #A of the first target
	Title string
	Unit  Unit
	Steps []Step
	Link  *Link
	Width int
}

// Link leads from a value to another board.
type Link struct{ Title, URL string }

func (p *Panel) source() Source {
	if p.Source.Type == "" {
		return Prometheus
	}
	return p.Source
}

func (p *Panel) height() int {
	if p.Height == 0 {
		return 8
	}
	return p.Height
}

// panels gives panels ids and places, from left to right and from top to bottom.
func (b *Board) panels() list {
	out := list{}
	id, y := 0, 0
	next := func() int { id++; return id }
	for _, r := range b.Rows {
		row := obj{"id": next(), "type": "row", "title": r.Title, "collapsed": false, "panels": list{}, "gridPos": place(0, y, 24, 1)}
		if r.Repeat != "" {
			row["repeat"] = r.Repeat
		}
		out = append(out, row)
		y++
		x, tallest := 0, 0
		for _, p := range r.Panels {
			if x+p.Width > 24 {
				x, y, tallest = 0, y+tallest, 0
			}
			o := p.json()
			o["id"], o["gridPos"] = next(), place(x, y, p.Width, p.height())
			out = append(out, o)
			x += p.Width
			tallest = max(tallest, p.height())
		}
		y += tallest
	}
	return out
}

func place(x, y, w, h int) obj { return obj{"x": x, "y": y, "w": w, "h": h} }

func (p *Panel) json() obj {
	return obj{
		"type": string(p.Kind), "title": p.Title, "description": p.Description,
		"datasource": p.source().ref(), "targets": p.targets(),
		"fieldConfig": obj{"defaults": p.defaults(), "overrides": p.overrides()},
		"options":     p.options(), "transformations": p.transformations(), "links": list{},
	}
}
