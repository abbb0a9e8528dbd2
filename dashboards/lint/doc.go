// Package lint checks boards as Grafana will read them, whoever wrote the JSON:
// data sources, variables, units, titles, descriptions, legends, places, links
// ([Rules], after the manner of Grafana's dashboard-linter), and with Prometheus'
// own parser every expression of boards and rules: that it parses, that counters
// are read as rates, that the metrics and labels it names exist ([Known]).
//
// What exists is not listed here: a test hands in what a running Tallygate serves.
package lint
