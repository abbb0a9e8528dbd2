// Package envoysim is a fleet of Envoys without the Envoys: it drives a server
// of the access-log service (envoy.service.accesslog.v3) as a mesh would, for
// benchmarks and for `tallygate bench als`.
//
// In goes a [Profile] (how many proxies, how many distinct label sets, which
// protocols), out come gRPC streams, each on its own connection, as a worker of
// Envoy has it. The generator is honest:
//   - every frame is built with the generated code before the clock starts and
//     sent as raw bytes, so that the client costs as little as it can;
//   - it sends under HTTP/2 flow control and never buffers beyond it: a slow
//     server is a slow generator;
//   - the clock stops when the server shows in its own metrics that everything
//     sent was counted ([WaitCounter]), not when it was sent.
//
// CPU time is read from the operating system ([CPUTime]), for the server's
// process alone.
//
// It must not import the stages that it measures.
package envoysim
