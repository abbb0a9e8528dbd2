// Package component knows where the real programs that tests and the demo run
// come from, and keeps them in one cache.
//
// In go names of components; out come paths of programs that run from where
// they lie. Nothing is installed into the system, no service is started, root
// is not needed. A component appears in the cache whole or not at all (it is
// built in a directory beside and renamed), and processes that fetch the same
// one at the same time wait for each other.
//
// Every component is brought by the ordinary client of a package registry: pip,
// apt, Maven, go. An error names the tool that is missing and how to get it.
package component
