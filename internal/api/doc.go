// Package api is /api/v1 of the admin endpoint: what the console and the command
// line ask. It reads the history of red, the tap, the decider, the quotas, the
// connections and the store of spans, and answers in the types of fleet.
//
// With replicas=own a request is answered by this replica alone, in parts that
// add up; otherwise the peers are asked too, and the answer names everyone it is
// made of. Nothing is computed before somebody asks, and nothing here is in the
// path of telemetry or of a check.
//
// openapi.json describes every route of the endpoint; tests hold the two together.
package api

//go:generate go run ./gen
