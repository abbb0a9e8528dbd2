// Package promql builds expressions of Prometheus' query language, so that a
// board or a rule names metrics and labels by the constants of the code that
// exports them.
//
// It knows how to write an expression and nothing about whether it makes sense:
// package lint reads what was built with Prometheus' own parser. It imports the
// standard library only.
package promql
