package board

import (
	"bytes"
	"encoding/json"
)

// Tag is on every board, so that each links to all others.
const Tag = "tallygate"

// Board is one dashboard.
type Board struct {
	UID         string
	Title       string
	Description string
	Variables   []Variable
	Rows        []Row
	From        string // the time that is shown at first: now-1h if empty
}

// Row is panels below a heading.
type Row struct {
	Title  string
	Panels []Panel
	Repeat string // a variable: one row for each of its values
}

// JSON returns the file that Grafana reads.
func (b *Board) JSON() ([]byte, error) {
	from := b.From
	if from == "" {
		from = "now-1h"
	}
	out := obj{
		"uid": b.UID, "title": b.Title, "description": b.Description,
		"tags": list{Tag}, "schemaVersion": 39, "version": 1, "editable": true,
		"graphTooltip": 1, // one cross-hair over all panels
		"timezone":     "browser", "refresh": "10s", "time": obj{"from": from, "to": "now"}, "timepicker": obj{},
		"links": list{obj{
			"type": "dashboards", "title": "Tallygate", "tags": list{Tag}, "icon": "external link",
			"asDropdown": false, "includeVars": true, "keepTime": true, "targetBlank": false, "tooltip": "", "url": "",
		}},
		"annotations": obj{"list": list{alerts}},
		"templating":  obj{"list": b.variables()},
		"panels":      b.panels(),
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(out)
	return buf.Bytes(), err
}

// alerts shows on every graph when an alert of ours fired.
var alerts = obj{
	"name": "Alerts", "enable": true, "hide": false, "iconColor": "red", "datasource": Prometheus.ref(),
	"expr":        `ALERTS{alertname=~"Tallygate.*", alertstate="firing"}`,
	"titleFormat": "{{alertname}}", "textFormat": "{{source_workload}} {{destination_workload}} {{instance}}", "step": "15s",
	"useValueForTime": false,
}

// obj and list are JSON as it is written; keys come out sorted.
type (
	obj  = map[string]any
	list = []any
)
