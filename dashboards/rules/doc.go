// Package rules defines Tallygate's recording rules and alerts for Prometheus,
// over the constants of the packages whose metrics they read. Package gen writes
// them down as YAML.
//
// Alerts on the mesh watch edges, so that each names a caller, a callee and the
// reporter; they are burn rates over a short and a long window: the long one says
// that it matters, the short one that it goes on.
package rules
