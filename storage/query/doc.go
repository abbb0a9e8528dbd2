// Package query answers Jaeger's query HTTP API over a storage.Reader, so that
// Grafana's Jaeger data source and Jaeger's UI work on a store of Tallygate:
//
//	/api/services                        names
//	/api/services/{service}/operations   names
//	/api/operations?service=&spanKind=   names and kinds
//	/api/traces?service=&operation=&tag=&tags=&minDuration=&maxDuration=&start=&end=&lookback=&limit=
//	/api/traces?traceID=                 one or several traces, repeated or with commas
//	/api/traces/{id}                     one trace, or several with commas
//	/api/dependencies?endTs=&lookback=   edges
//
// Parameters, defaults, the envelope of answers and the texts of errors are those
// of Jaeger 2.13. Before it is shown a trace is adjusted as Jaeger does: span ids
// that client and server share, order of tags, clock skew, references; raw=true
// shows it as it was stored.
//
// Times are microseconds, those of dependencies milliseconds. An answer holds at
// most max_traces traces; requests above max_concurrent wait.
//
// Whoever reaches the listener may read every trace: it is for loopback, or
// behind TLS with client certificates.
package query
