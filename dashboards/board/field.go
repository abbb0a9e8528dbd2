package board

import (
	"maps"
	"slices"
)

// defaults is how values look.
func (p *Panel) defaults() obj {
	o := obj{"unit": string(p.Unit), "links": links(p.Links), "color": obj{"mode": "palette-classic"}, "mappings": list{}}
	if p.Steps != nil {
		o["thresholds"] = thresholds(p.Steps)
	}
	switch p.Kind {
	case Graph:
		o["min"] = 0
		if p.Top != 0 {
			o["max"] = p.Top
		}
		custom := obj{
			"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": false,
			"stacking": obj{"mode": "none", "group": "A"}, "thresholdsStyle": obj{"mode": "off"},
			"axisSoftMin": 0,
		}
		if p.Stack {
			custom["stacking"], custom["fillOpacity"] = obj{"mode": "normal", "group": "A"}, 40
		}
		if p.Steps != nil {
			custom["thresholdsStyle"] = obj{"mode": "dashed"}
		}
		o["custom"] = custom
	case Stat:
		if p.Steps != nil {
			o["color"] = obj{"mode": "thresholds"}
		}
		o["noValue"] = "nothing yet"
	case Table:
		o["custom"] = obj{"align": "auto", "cellOptions": obj{"type": "auto"}, "filterable": true}
	}
	return o
}

func (p *Panel) overrides() list {
	out := list{}
	for _, name := range slices.Sorted(maps.Keys(p.Colours)) {
		out = append(out, override(name, property("color", obj{"mode": "fixed", "fixedColor": p.Colours[name]})))
	}
	for _, s := range p.Shades {
		out = append(out, obj{
			"matcher":    obj{"id": "byRegexp", "options": s.Pattern},
			"properties": list{property("color", obj{"mode": "shades", "fixedColor": s.Color})},
		})
	}
	for _, c := range p.Columns {
		var props list
		if c.Unit != "" {
			props = append(props, property("unit", string(c.Unit)))
		}
		if c.Steps != nil {
			props = append(props, property("thresholds", thresholds(c.Steps)), property("color", obj{"mode": "thresholds"}),
				property("custom.cellOptions", obj{"type": "color-text"}))
		}
		if c.Link != nil {
			props = append(props, property("links", links([]Link{*c.Link})))
		}
		if c.Width > 0 {
			props = append(props, property("custom.width", c.Width))
		}
		if props != nil {
			out = append(out, override(c.Title, props...))
		}
	}
	return out
}

func override(name string, props ...any) obj {
	return obj{"matcher": obj{"id": "byName", "options": name}, "properties": props}
}

func property(id string, value any) obj { return obj{"id": id, "value": value} }

func thresholds(steps []Step) obj {
	out := list{}
	for i, s := range steps {
		value := any(s.From)
		if i == 0 {
			value = nil // from the lowest on
		}
		out = append(out, obj{"color": s.Color, "value": value})
	}
	return obj{"mode": "absolute", "steps": out}
}

func links(in []Link) list {
	out := list{}
	for _, l := range in {
		out = append(out, obj{"title": l.Title, "url": l.URL, "targetBlank": false})
	}
	return out
}
