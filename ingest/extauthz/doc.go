// Package extauthz answers proxies that ask whether a request may pass: Envoy's
// ext_authz over gRPC (envoy.service.auth.v3.Authorization), and forward-auth
// over HTTP for Envoy's http_service, nginx' auth_request and Traefik's
// forwardAuth.
//
// In: CheckRequests as raw frames (ingest.Codec) and HTTP requests, which become
// CheckRequests. Out: questions to a mesh.Decider, each with a lens on the wire
// bytes that reads no more than is asked for, in the names of opa-envoy-plugin's
// input; and the answer, rendered once for each verdict.
//
// The package alone decides what a failure to judge means (Config.OnError:
// deny, allow, error_response). It gives every judgement a deadline below the
// proxy's, and a share of at most Config.Limit requests at once: what comes
// above that is answered as a failure immediately, and counted. Nothing queues.
//
// A verdict that cannot be carried out in full (a header that would break out
// of its line, a change that the protocol cannot express) is never an
// allowance. Headers of a request are data, never identity.
//
// The package must not import policy, red, spans, exporters, storage or
// collector.
package extauthz
