// Package push sends the RED metrics to consumers of pdata on an interval: what
// exporters/prometheus offers to be scraped, it takes somewhere.
//
// In goes a red.Table, of which it takes a snapshot per interval; out come
// pmetric.Metrics with cumulative temporality, a start time per series,
// exemplars, and explicit or exponential histograms, in requests of a bounded
// number of points. Names, labels and units are such that Prometheus, behind
// OTLP or remote write, stores the same series that it would have scraped.
//
// Consumers are given the requests at once and their errors are counted: what a
// consumer refuses is not sent again, because the next interval has the same
// counters with newer values. A consumer that is slow delays its own next
// interval and, within one interval, the others; give it a queue.
//
// When its context ends, Run sends the last values before it returns.
//
// The package must not import collector or the other exporters.
package push
