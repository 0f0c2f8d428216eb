// Package scheduler decides when the machine is asked, and by whom its leases are
// received. It never decides what becomes true: State does that.
//
// Every node runs one Scheduler. On all of them it keeps the node's own slots: the
// room of the workers that are connected here (Park, Credit), the leases they hold
// (Extend, Held) and the hand-over of new ones. On the node that leads it also keeps
// the books of the whole cluster: which slots are free, which are offered in an entry
// that is under way, how many tasks wait in each queue. From these it adds offers to
// entries (Stamp), asks for entries of offers alone when none would come by itself,
// and wakes the machine when a timer is due.
//
// Nothing here is durable. A node that restarts begins with no slots; a leader that
// takes over builds its books from a View and from what the nodes register. A slot
// number is never used twice within a boot, and a lease fences every report, so that
// a message that is late, lost or repeated costs time and never correctness.
//
// # Between nodes
//
// A node tells its slots to whoever leads as a sequence of sets: a full one when a
// term opens, then differences, numbered without a gap. Dropping a slot also
// acknowledges its lease. The leader answers through the same way that brings leases:
// a Leased without a lease and without a slot asks for a full set, one that names a
// slot says that neither this slot nor, for a poll, any other of its group is in an
// entry any more.
//
// All methods may be called by many goroutines at once unless they say otherwise.
package scheduler
