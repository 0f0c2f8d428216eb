// Package snap keeps raft snapshots as files that prove themselves.
//
// A snapshot is written under a temporary name, synced, read back and checked
// whole, and only then renamed to <term>-<index>.snap. Each chunk has its own
// checksum and number, and the file ends in a hash of all of it. What List
// names has been verified in this process; what is damaged is told and left
// out, so that an older snapshot and the log behind it may serve.
//
// The stream inside is opaque here. What a reader gets from Open is exactly
// what was written to the sink, checked chunk by chunk before it is handed
// out; raft sends that stream to another node, whose own sink wraps it again.
// So what must travel with a snapshot belongs into the stream: the header, with
// its ids and the caller's notes, stays with the file.
package snap
