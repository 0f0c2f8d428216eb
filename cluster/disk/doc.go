// Package disk is the seam between the product and a file system.
//
// Everything that must survive a crash goes through FS and File. Dir is the
// real thing, Mem keeps files in memory, and Faulty wraps either of them to
// inject the faults that real disks have: errors, delays, hangs, torn and
// short writes, syncs that lie, flipped bits, a full disk, and the loss of
// whatever was not synced when the power goes.
//
// Paths are slash-separated and relative to one folder; they never leave it.
package disk
