package board

// options is how a kind of panel is laid out.
func (p *Panel) options() obj {
	switch p.Kind {
	case Graph:
		// Below a narrow graph a table would show two lines and hide the rest.
		legend := obj{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": list{}}
		if p.Width >= 12 {
			legend = obj{"displayMode": "table", "placement": "right", "showLegend": true, "calcs": list{"lastNotNull"}}
		}
		return obj{"legend": legend, "tooltip": obj{"mode": "multi", "sort": "desc"}}
	case Stat:
		return obj{
			"reduceOptions": obj{"calcs": list{"lastNotNull"}, "fields": "", "values": false},
			"colorMode":     "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
		}
	case Table:
		o := obj{"showHeader": true, "cellHeight": "sm", "footer": obj{"show": false, "reducer": list{"sum"}, "countRows": false, "fields": ""}}
		for _, c := range p.Columns {
			if c.Steps != nil { // what can be red comes first
				o["sortBy"] = list{obj{"displayName": c.Title, "desc": true}}
				break
			}
		}
		return o
	case Heatmap:
		return obj{
			"calculate": false, "cellGap": 1, "color": obj{"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "scale": "exponential", "fill": "dark-orange", "reverse": false},
			"exemplars": obj{"color": "rgba(255,0,255,0.7)"}, "filterValues": obj{"le": 1e-9}, "legend": obj{"show": true},
			"rowsFrame": obj{"layout": "auto"}, "tooltip": obj{"mode": "single", "yHistogram": false, "showColorScale": false},
			"yAxis": obj{"axisPlacement": "left", "unit": string(p.Unit), "reverse": false},
		}
	}
	return obj{}
}

// transformations make one table of a table's targets, with the columns in order.
func (p *Panel) transformations() list {
	if p.Kind != Table || len(p.Columns) == 0 {
		return list{}
	}
	names, index, include := obj{}, obj{}, obj{}
	for i, c := range p.Columns {
		names[c.Field], index[c.Field], include[c.Field] = c.Title, i, true
	}
	return list{
		obj{"id": "merge", "options": obj{}},
		obj{"id": "organize", "options": obj{"includeByName": include, "indexByName": index, "renameByName": names, "excludeByName": obj{}}},
	}
}
