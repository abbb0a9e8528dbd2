// Package rego holds the Rego that is shipped with Tallygate, embedded: the
// library that policies import from data.tallygate, one package per file, and
// the permissive example of the run without flags.
//
// What a policy reads through the library is in its shape, as if it had read it
// itself; so each function reads no more of the request than its comment says,
// and takes as arguments what only the policy can know.
//
// The package imports the standard library only.
package rego
