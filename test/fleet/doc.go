// Package fleet runs replicas of Tallygate that share their limits through a real
// Redis, offers them five times as much, and says what they admitted.
//
//	clients ─5 × limit─▶ tallygate × n ─leases─▶ redis
//
// In goes a [Case]: who is asked how often for what, and what happens to whom
// meanwhile; out comes a [Result], to be held against the promise of
// docs/quotas.md. The end-to-end tests play every case for ten seconds, the
// benchmarks for a minute. A run whose books of tokens do not balance is an error.
package fleet
