// Package als is Envoy's access-log service: it takes streams of
// envoy.service.accesslog.v3.StreamAccessLogsMessage and turns them into
// mesh.Entry values.
//
// In: raw frames (ingest.Codec), each one message of one proxy. Out: batches of
// at most 64 entries to a mesh.Sink, in the stream's own goroutine; the strings
// of an entry alias the frame and are overwritten after the call.
//
// The package owns the wire decoder, the identity of both ends of a request
// (who reports, who is the peer, and which claims to believe), the registry of
// workloads learned from node identifiers, and the table that turns cumulative
// TCP byte counts into deltas.
//
// The books, exported as tallygate_als_*: entries received = counted + skipped +
// dropped, by reason, once idle, and never less at any time. Frames whose outer
// structure is damaged are refused whole; a damaged entry in a sound frame is
// dropped and the others stand.
//
// Under overload nothing is shed: at most Config.Decoders messages are worked
// on at once, the other streams stop reading, and HTTP/2 flow control passes the
// pressure on to the proxies, which buffer. Memory is bounded: the memo of each
// stream, the registry and the TCP table have caps, and what goes over them is
// counted.
//
// The package must not import policy, red, spans, exporters, storage or
// collector.
package als
