// Package prometheus serves /metrics: the mesh's metric families out of a
// red.Table, then the books (tallygate_*) out of a prometheus.Gatherer.
//
// A big mesh makes hundreds of megabytes of text per scrape. So the families
// are written by a streaming writer of our own, from a snapshot and with label
// sets that are rendered once; only the books go through client_golang and
// expfmt. The format is negotiated: Prometheus text 0.0.4, OpenMetrics 1.0 with
// exemplars, or Prometheus' protobuf with exemplars, native histograms and
// created timestamps; identity or gzip. In every text format le is spelt as
// Envoy spells it: 250, never 250.0.
//
// The books are gathered after the snapshot: what was received is never less
// than what was counted.
//
// Under overload, scrapes beyond Config.MaxConcurrentScrapes are refused with
// 503, and one that takes longer than Config.ScrapeTimeout is cut. A scrape that
// fails half-way aborts its connection, so that nobody takes the half for the
// whole.
//
// The package must not import ingest, policy or another exporter.
package prometheus
