// Package opa compiles Rego policies with Open Policy Agent and evaluates them.
// It is the only importer of OPA.
//
// In: Rego and data (files, directories, bundles; Config.Paths, or OPA's own
// configuration through its plugin manager) and requests as mesh.Request. Out:
// a Generation, one immutable set of compiled modules, data, prepared queries
// and shapes; and for each evaluation a Result.
//
// A Shape says which paths of the input a decision can read, whatever the
// input, and whether the decision may be cached. It is found by static analysis
// and errs on the side of reading more: two requests that agree on the paths of
// the shape get the same answer. Only these paths are built for an evaluation.
//
// A Loader watches the sources and hands each new Generation to a callback once
// everything about it is checked; what does not compile is refused and counted,
// and the last good one stays.
//
// An evaluation holds no lock that a reload could wait for, ends soon after its
// context does, and reaches the network only as Config.HTTPSend permits.
//
// The package must not import ingest, red, spans, exporters, storage, Envoy's
// types or gRPC.
package opa
