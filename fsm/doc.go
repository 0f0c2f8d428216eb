// Package fsm is the deterministic machine at the heart of a node: entries go in,
// records, events and leases come out.
//
// State is changed by Apply alone, on one goroutine, and every node that applies the
// same entries holds the same State, bit for bit. For that the machine has no clock,
// no randomness, no I/O, no goroutine, no lock and no iteration order but that of its
// tables: time and free slots come in with the entry, ids are made from its index.
// Nothing here knows which node leads; a reader of what Apply returns decides whether
// to act on it.
//
// Readers use a View, which is State as of one index, on any goroutine.
package fsm
