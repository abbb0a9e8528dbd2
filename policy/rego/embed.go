package rego

import _ "embed"

// Permissive allows every request.
//
//go:embed permissive.rego
var Permissive string
