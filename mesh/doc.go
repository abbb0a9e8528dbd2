// Package mesh is the dictionary: the nouns that the stages of Tallygate share
// and the seams at which they meet.
//
// An access-log entry enters as an [Entry] with its two ends resolved to
// [Peer] values and its destination to a [Service]; a [Batch] of them goes to
// a [Sink]. Canonical values (Peer, Service, Custom) are interned with
// [unique.Make]: equal contents are equal handles, so a stage may compare and
// hash them as words, and they are collected when nobody holds them.
//
// Strings in canonical values own their bytes and are valid UTF-8. Every other
// string of an Entry is lent: see [Sink].
//
// The package imports the standard library only; every other package may
// import it.
package mesh
