// Package stable keeps what a voter must never forget: its term and its vote.
//
// It closes three gaps between what raft asks of such a store and what a
// database gives:
//
//   - Raft writes a vote in two calls, the term and then the candidate. A crash
//     between them leaves the old candidate under the new term, and after the
//     restart that candidate is granted the vote without a look at its log.
//     Here the first call is only remembered; the second writes both, at once.
//   - A term must not fall. A write of a lower one does not return: the
//     process ends.
//   - A flipped bit must not become another vote, or none. Every value carries
//     a checksum of its key and itself, all of them are one record, and a file
//     without that record is damaged, not new.
//
// There are two places to keep the values: a bbolt file, which is what nodes
// use, and a file on a disk.FS, for nodes in memory and in virtual time.
package stable
