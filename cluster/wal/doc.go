// Package wal keeps the raft log in segment files.
//
// An append is one write and one sync. Every entry is covered by checksums and
// chained to the one before, and every record says how much of the file was
// durable before it was written. From that, recovery tells a torn tail, which
// nobody was promised and which is cut, from damage to entries that were
// acknowledged, which it refuses to open: a node that has forgotten what it
// promised must not vote.
//
// # Files
//
// A folder holds segments, named by the first index and a running number, and
// a few spares. A segment has a fixed size and is filled with zeros, or with
// the records of an earlier use, before the first record goes in, so an append
// changes no metadata. Each use has its own random salt, which every checksum
// includes: what an earlier use left behind can never be read as a record.
//
//	segment  header of 4 KiB, then records
//	record   header of 64 bytes, payload, padding to 8 bytes
//
// Records are entries, or marks: truncate (all entries from an index on are
// gone), restart (all are gone, the next has this index), seal (the log goes on
// in the next segment), opened and clean stop.
//
// The successor of a segment is on disk, with its header, before the seal is
// written. A seal without a successor, a hole between segments, or a record
// behind an unreadable place that was durable before that record was written:
// each is damage. Damage at or below the newest good snapshot costs nothing:
// the log then begins behind it.
package wal
