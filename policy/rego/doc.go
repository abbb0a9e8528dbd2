// Package rego holds the Rego that is shipped with Tallygate, embedded: the
// permissive example of the run without flags.
//
// The package imports the standard library only.
package rego
