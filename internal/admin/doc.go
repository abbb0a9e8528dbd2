// Package admin is the endpoint for the people and machines that run
// Tallygate: health, readiness, our own metrics, profiles, the configuration in
// force, and what `tallygate doctor` asks. It has the server's side and the
// command line's side of it.
//
// Trust: the Host and Origin of every request are checked, so that a page in a
// browser that rebinds a name to this address gets nothing. Open to who can
// reach the port are /healthz, /readyz and /metrics only; everything else needs
// the bearer token, which is written to a file of mode 0600 at the start, or a
// client certificate where tls.client_ca_file is set. A page in a browser gets a
// token of its own for a code that works once: see session.go. The console's own
// files are open too: there is nothing in them. Refusals are counted.
//
// Nothing here is in the path of telemetry.
package admin
