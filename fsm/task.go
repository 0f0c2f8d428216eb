package fsm

import "slices"

// task is one attempt at one step: Conductor's task record. Records of an execution
// are numbered by serial in the order they are made; a step's newest record has the
// highest.
type task struct {
	meta
	id        TaskID
	node      nodeRef
	ref       string // without iteration suffix
	iteration uint32 // 0 outside loops
	loop      uint32 // serial of the enclosing DO_WHILE record, 0 in the root scope
	seq       uint32
	retry     uint32
	retriedOf uint32 // serial of the attempt that this one replaces
	status    TaskStatus

	retried  bool // a later attempt replaces it
	executed bool // its successors have been made
	settled  bool // terminal, not to be retried, and counted as such
	unfenced bool // finished by a report without a lease

	place    place
	returned bool    // its lease came back unused: it keeps its rank
	job      jobKind // what the server itself has to do before the record goes on
	grants   uint8   // leases that were given for its job
	queue    queueID // where it waits when ready or delayed, and came from when leased
	lane     uint32  // of the queue, when ready
	polls    uint32
	member   uint32 // of a dynamic fork: place in it, from 1
	rank     int64  // place in the queue
	lease    Lease
	last     Lease // highest lease ever given
	holder   Slot  // slot that has the lease
	worker   string

	scheduled, firstScheduled, start, end, updated Millis
	startDelay, callback                           int64  // seconds
	ready                                          Millis // delayed: when it becomes ready; waiting: when the wait ends
	due                                            dueKey

	input, output Data
	reason        string
	doneLease     Lease
	doneIndex     uint64
	granted       Millis // when the last lease for its job was

	join joinState
	fork uint32 // JOIN: serial of the dynamic fork whose members it waits for
	done uint32 // FORK: heads or members made so far
	// FORK of a dynamic fork: how many members, and the numbers reserved for the first of
	// them; the JOIN's follow the last's. 0: members get the next numbers.
	width, first, firstSeq uint32
	loops                  loopState
	child                  ExecID // SUB_WORKFLOW

	// opened is the type under which the record stands in openTasks, empty when it does
	// not. It is derived, and changed by noteOpen only.
	opened string
}

// place says where an open record is; a record has exactly one. Stored.
type place uint8

const (
	placeNone    place = iota // terminal
	placeReady                // in the ready table of its queue
	placeDelayed              // in due, until it becomes ready
	placeLeased               // in leases
	placeWaiting              // for time, a signal, a child, members or an update
	placeParked               // stands for the first record of an execution that waits for its quota
)

// joinState counts the members of a JOIN.
type joinState struct {
	pending     uint32 // members not settled in this iteration
	bad         uint32 // settled without success
	badCanceled uint32 // of those, canceled ones
	permBad     uint32 // of those, permissive ones
	soft        uint32 // settled with errors that are allowed
}

// loopState is the progress of a DO_WHILE.
type loopState struct {
	cur   uint32 // current iteration, from 1; 0 before the first
	kept  uint32 // iterations below it have been dropped
	open  uint32 // open records of the current iteration
	ended bool   // the body list has come to its end
	// verdict is the answer to the condition of the current iteration.
	verdict verdict
	items   *loopItems // nil when there are none
}

// loopItems is what a DO_WHILE goes over. It never changes.
type loopItems struct {
	list  Data
	count uint32 // its length
}

// nodeRef names a step: a node of the execution's plan, or of a fragment of it.
type nodeRef struct {
	fragment uint32 // serial of the record that brought the fragment; 0 for the plan
	node     int32
}

// at is another step of the same plan or fragment.
func (r nodeRef) at(node int32) nodeRef { return nodeRef{fragment: r.fragment, node: node} }

func (t *task) key() TaskID { return t.id }

func (t *task) open() bool { return !t.status.Terminal() }

func (t *task) encode(w *writer) {
	w.task(1, t.id)
	w.num(2, uint64(t.node.fragment))
	w.num(3, uint64(t.node.node))
	w.str(4, t.ref)
	w.num(5, uint64(t.iteration))
	w.num(6, uint64(t.loop))
	w.num(7, uint64(t.seq))
	w.num(8, uint64(t.retry))
	w.num(9, uint64(t.retriedOf))
	w.num(10, uint64(t.status))
	w.flag(11, t.retried)
	w.flag(12, t.executed)
	w.flag(13, t.settled)
	w.flag(14, t.unfenced)
	w.num(15, uint64(t.queue))
	w.int(16, t.rank)
	w.num(17, uint64(t.place))
	w.num(18, uint64(t.lease))
	w.num(19, uint64(t.last))
	if !t.holder.IsZero() {
		w.bytes(20, t.holder.Node[:])
		w.num(21, uint64(t.holder.Boot))
		w.num(22, t.holder.N)
	}
	w.str(23, t.worker)
	w.num(24, uint64(t.polls))
	w.flag(25, t.returned)
	w.int(26, int64(t.scheduled))
	w.int(27, int64(t.firstScheduled))
	w.int(28, int64(t.start))
	w.int(29, int64(t.end))
	w.int(30, int64(t.updated))
	w.int(31, t.startDelay)
	w.int(32, t.callback)
	w.int(33, int64(t.ready))
	w.int(34, int64(t.due.at))
	w.num(35, t.due.tie)
	w.data(36, t.input)
	w.data(37, t.output)
	w.str(38, t.reason)
	w.num(39, uint64(t.doneLease))
	w.num(40, t.doneIndex)
	t.encodeStructure(w)
}

func (t *task) encodeStructure(w *writer) {
	w.num(41, uint64(t.join.pending))
	w.num(42, uint64(t.join.bad))
	w.num(43, uint64(t.join.badCanceled))
	w.num(44, uint64(t.join.permBad))
	w.num(45, uint64(t.join.soft))
	w.num(46, uint64(t.loops.cur))
	w.num(47, uint64(t.loops.kept))
	w.num(48, uint64(t.loops.open))
	w.flag(49, t.loops.ended)
	if items := t.loops.items; items != nil {
		w.data(50, items.list)
		w.num(51, uint64(items.count))
	}
	w.num(53, uint64(t.done))
	w.exec(54, t.child)
	w.num(55, uint64(t.job))
	w.num(56, uint64(t.grants))
	w.int(57, int64(t.granted))
	w.num(58, uint64(t.loops.verdict))
	w.num(60, uint64(t.member))
	w.num(61, uint64(t.fork))
	w.num(62, uint64(t.width))
	w.num(63, uint64(t.first))
	w.num(64, uint64(t.firstSeq))
	w.num(80, uint64(t.lane))
}

func decodeTask(r *reader) *task {
	t := &task{}
	for r.next() {
		switch {
		case r.tag <= 14:
			t.decodeStep(r)
		case r.tag <= 25:
			t.decodePlace(r)
		case r.tag <= 40:
			t.decodeFacts(r)
		default:
			t.decodeStructure(r)
		}
	}
	return t
}

func (t *task) decodeStep(r *reader) {
	switch r.tag {
	case 1:
		t.id = r.task()
	case 2:
		t.node.fragment = r.num32()
	case 3:
		t.node.node = int32(r.num32())
	case 4:
		t.ref = r.str()
	case 5:
		t.iteration = r.num32()
	case 6:
		t.loop = r.num32()
	case 7:
		t.seq = r.num32()
	case 8:
		t.retry = r.num32()
	case 9:
		t.retriedOf = r.num32()
	case 10:
		t.status = TaskStatus(r.num8())
	case 11:
		t.retried = r.flag()
	case 12:
		t.executed = r.flag()
	case 13:
		t.settled = r.flag()
	case 14:
		t.unfenced = r.flag()
	}
}

func (t *task) decodePlace(r *reader) {
	switch r.tag {
	case 15:
		t.queue = queueID(r.num32())
	case 16:
		t.rank = r.int()
	case 17:
		t.place = place(r.num8())
	case 18:
		t.lease = Lease(r.num())
	case 19:
		t.last = Lease(r.num())
	case 20:
		t.holder.Node = r.node()
	case 21:
		t.holder.Boot = r.num32()
	case 22:
		t.holder.N = r.num()
	case 23:
		t.worker = r.str()
	case 24:
		t.polls = r.num32()
	case 25:
		t.returned = r.flag()
	}
}

func (t *task) decodeFacts(r *reader) {
	switch r.tag {
	case 26:
		t.scheduled = Millis(r.int())
	case 27:
		t.firstScheduled = Millis(r.int())
	case 28:
		t.start = Millis(r.int())
	case 29:
		t.end = Millis(r.int())
	case 30:
		t.updated = Millis(r.int())
	case 31:
		t.startDelay = r.int()
	case 32:
		t.callback = r.int()
	case 33:
		t.ready = Millis(r.int())
	case 34:
		t.due.at = Millis(r.int())
	case 35:
		t.due.tie = r.num()
	case 36:
		t.input = r.data()
	case 37:
		t.output = r.data()
	case 38:
		t.reason = r.str()
	case 39:
		t.doneLease = Lease(r.num())
	case 40:
		t.doneIndex = r.num()
	}
}

func (t *task) decodeStructure(r *reader) {
	switch r.tag {
	case 41:
		t.join.pending = r.num32()
	case 42:
		t.join.bad = r.num32()
	case 43:
		t.join.badCanceled = r.num32()
	case 44:
		t.join.permBad = r.num32()
	case 45:
		t.join.soft = r.num32()
	case 46:
		t.loops.cur = r.num32()
	case 47:
		t.loops.kept = r.num32()
	case 48:
		t.loops.open = r.num32()
	case 49:
		t.loops.ended = r.flag()
	case 50:
		t.loops.items = &loopItems{list: r.data()}
	case 51:
		if t.loops.items == nil {
			r.fail(ErrCorrupt)
			return
		}
		t.loops.items.count = r.num32()
	case 53:
		t.done = r.num32()
	case 54:
		t.child = r.exec()
	case 55:
		t.job = jobKind(r.num8())
	case 56:
		t.grants = r.num8()
	case 57:
		t.granted = Millis(r.int())
	case 58:
		t.loops.verdict = verdict(r.num8())
	case 60:
		t.member = r.num32()
	case 61:
		t.fork = r.num32()
	case 62:
		t.width = r.num32()
	case 63:
		t.first = r.num32()
	case 64:
		t.firstSeq = r.num32()
	case 80:
		t.lane = r.num32()
	default:
		r.unknown()
	}
}

// addSorted puts a serial into an ascending list without repeats.
func addSorted(list []uint32, s uint32) []uint32 {
	if n := len(list); n == 0 || list[n-1] < s {
		return append(list, s)
	}
	i, found := slices.BinarySearch(list, s)
	if found {
		return list
	}
	return slices.Insert(list, i, s)
}
