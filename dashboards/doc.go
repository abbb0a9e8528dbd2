// Package dashboards holds Tallygate's Grafana boards and Prometheus rules as
// files, and writes them out with what Grafana needs to provision them.
//
// The files are generated: boards from package boards, rules from package rules,
// by `go generate`. Neither the builders nor Prometheus' parser are in the binary
// for that: this package imports the standard library only.
package dashboards

//go:generate go run ./gen
