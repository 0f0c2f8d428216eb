package wal

import (
	"sort"

	"github.com/hashicorp/raft"
)

// loc is where the record of an entry is.
type loc struct {
	segment uint32 // its number
	offset  uint32
	length  uint32 // of the payload
}

// index knows the place of every entry. Entries are contiguous.
type index struct {
	first uint64 // index of locs[0], meaningless while locs is empty
	next  uint64 // index of the entry that may be appended
	locs  []loc
}

func (x *index) has(i uint64) bool {
	return len(x.locs) > 0 && i >= x.first && i-x.first < uint64(len(x.locs))
}

// apply takes in a record in log order.
func (x *index) apply(r *record, at loc) {
	switch {
	case r.isEntry():
		if len(x.locs) == 0 {
			x.first = r.index
		}
		x.locs = append(x.locs, at)
	case r.kind == typeTruncate:
		x.cut(r.index)
	case r.kind == typeRestart:
		x.locs = nil
	}
	x.next = r.next()
}

func (x *index) cut(from uint64) {
	switch {
	case len(x.locs) == 0 || from <= x.first:
		x.locs = nil
	case x.has(from):
		x.locs = x.locs[:from-x.first]
	}
}

// dropBefore forgets the entries below first.
func (x *index) dropBefore(first uint64) {
	switch {
	case len(x.locs) == 0 || first <= x.first:
	case x.has(first):
		x.locs = x.locs[first-x.first:]
		x.first = first
	default:
		x.locs = nil
	}
}

// find is the first index for which f holds, x.next if there is none; f must
// hold for each one after that too.
func (x *index) find(f func(loc) bool) uint64 {
	return x.next - uint64(len(x.locs)) + uint64(sort.Search(len(x.locs), func(i int) bool { return f(x.locs[i]) }))
}

// entryOverhead is what a cached entry costs beside its bytes.
const entryOverhead = 112

// cache holds the newest entries.
type cache struct {
	limit   int64
	bytes   int64
	first   uint64 // index of entries[0]
	entries []raft.Log
}

func cost(e *raft.Log) int64 { return int64(len(e.Data)+len(e.Extensions)) + entryOverhead }

func (c *cache) add(e raft.Log) {
	if len(c.entries) > 0 && e.Index != c.first+uint64(len(c.entries)) {
		c.clear()
	}
	if len(c.entries) == 0 {
		c.first = e.Index
	}
	c.entries = append(c.entries, e)
	c.bytes += cost(&e)
	for c.bytes > c.limit {
		c.dropOldest()
	}
}

func (c *cache) dropOldest() {
	c.bytes -= cost(&c.entries[0])
	c.entries[0] = raft.Log{} // let go of its bytes: the array lives on
	c.entries = c.entries[1:]
	c.first++
}

func (c *cache) get(i uint64) (raft.Log, bool) {
	if i < c.first || i-c.first >= uint64(len(c.entries)) {
		return raft.Log{}, false
	}
	return c.entries[i-c.first], true
}

// apply takes in a mark in log order.
func (c *cache) apply(r *record) {
	switch r.kind {
	case typeTruncate:
		c.cut(r.index)
	case typeRestart:
		c.clear()
	}
}

func (c *cache) cut(from uint64) {
	for n := len(c.entries); n > 0 && c.first+uint64(n) > from; n-- {
		c.bytes -= cost(&c.entries[n-1])
		c.entries[n-1] = raft.Log{}
		c.entries = c.entries[:n-1]
	}
}

func (c *cache) dropBefore(first uint64) {
	for len(c.entries) > 0 && c.first < first {
		c.dropOldest()
	}
}

func (c *cache) clear() { c.entries, c.bytes = nil, 0 }
