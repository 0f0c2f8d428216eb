package fsm

// execution is a run of a definition. It is changed by execution.go and flow only.
type execution struct {
	meta
	id         ExecID
	plan       planID
	status     Status
	sweep      sweep
	ended      bool // the root list has come to its end
	counted    bool // a parent's close waits for this execution's sweep
	advancing  bool // an advance item of it stands in the agenda
	faulted    bool // a step of it was rolled back and has to be done again
	failing    bool // its failure workflow is still to be started
	gone       bool // it is deleted: no reader finds it, and a purge is under way or follows
	quotaState quotaState
	ending     uint32 // children that close has told to end and whose own sweep is not done
	open       uint32 // open records in the root scope
	openAll    uint32 // open records in all scopes; swept ones count until swept
	permBad    uint32 // permissive failures that the flow has passed
	jobs       uint32 // open records that wait for work of the server itself

	nextSerial, nextSeq                    uint32
	created, updated, endTime, lastRetried Millis
	endIndex                               uint64
	due                                    dueKey // armed for the time limit, zero when not

	input, output, variables Data
	parent                   TaskID
	corr, createdBy, event   string
	key_                     string   // idempotency key
	domains                  []Domain // shared, immutable
	reason                   string
	priority                 int32
	failedTask               uint32 // serial of the record whose failure ended it
	depth                    uint32 // ancestors

	// Records from hideFrom up to hideTo are deleted for every reader.
	hideFrom, hideTo uint32
	// Open records below cutTo are CANCELED for every reader: a jump left them behind.
	cutTo      uint32
	jumped     uint32 // cutTo of the last jump, for good
	parkedTask uint32 // serial of the record that stands for its first
	received   uint32 // messages that it was ever given
	inboxBytes uint32 // of the messages that it keeps
	revival    *revival
	quota      string // limit that it counts against, empty without a quota
	quotaTurn  uint64 // of its row
}

// sweep is background work on an execution that other verbs wait for. Stored.
type sweep uint8

const (
	sweepNone sweep = iota
	sweepClosing
	sweepReviving // records are put in order before the flow goes on
	sweepPurging  // it is deleted, and its records are taken away
)

func (e *execution) key() ExecID { return e.id }

// detach gives a copy of an execution its own revival, to change.
func (e *execution) detach() {
	if e.revival != nil {
		v := *e.revival
		e.revival = &v
	}
}

func (e *execution) encode(w *writer) {
	w.exec(1, e.id)
	w.num(2, uint64(e.plan))
	w.num(3, uint64(e.status))
	w.num(4, uint64(e.sweep))
	w.num(5, uint64(e.ending))
	w.flag(6, e.ended)
	w.num(7, uint64(e.open))
	w.num(8, uint64(e.openAll))
	w.num(9, uint64(e.permBad))
	w.flag(10, e.advancing)
	w.num(11, uint64(e.nextSerial))
	w.num(12, uint64(e.nextSeq))
	w.int(13, int64(e.created))
	w.int(14, int64(e.updated))
	w.int(15, int64(e.endTime))
	w.int(16, int64(e.lastRetried))
	w.num(17, e.endIndex)
	w.int(18, int64(e.due.at))
	w.num(19, e.due.tie)
	w.data(20, e.input)
	w.data(21, e.output)
	w.data(22, e.variables)
	w.task(23, e.parent)
	w.str(24, e.corr)
	w.str(25, e.createdBy)
	w.str(26, e.event)
	w.str(27, e.key_)
	w.int(28, int64(e.priority))
	for _, d := range e.domains {
		w.nest(29, func(w *writer) { w.str(1, d.Type); w.str(2, d.Domain) })
	}
	w.str(30, e.reason)
	w.num(31, uint64(e.failedTask))
	w.num(32, uint64(e.depth))
	w.flag(33, e.counted)
	w.flag(34, e.faulted)
	w.num(35, uint64(e.jobs))
	w.num(38, uint64(e.received))
	w.num(39, uint64(e.inboxBytes))
	w.flag(40, e.gone)
	w.num(41, uint64(e.hideFrom))
	w.num(42, uint64(e.hideTo))
	w.num(43, uint64(e.cutTo))
	w.num(44, uint64(e.jumped))
	if e.sweep == sweepReviving {
		w.nest(45, e.revival.encode)
	}
	w.flag(46, e.failing)
	w.str(50, e.quota)
	w.num(51, uint64(e.quotaState))
	w.num(52, e.quotaTurn)
	w.num(53, uint64(e.parkedTask))
}

func decodeExecution(r *reader) *execution {
	e := &execution{}
	for r.next() {
		if r.tag <= 19 {
			e.decodeState(r)
		} else {
			e.decodeFacts(r)
		}
	}
	return e
}

func (e *execution) decodeState(r *reader) {
	switch r.tag {
	case 1:
		e.id = r.exec()
	case 2:
		e.plan = planID(r.num())
	case 3:
		e.status = Status(r.num8())
	case 4:
		e.sweep = sweep(r.num8())
	case 5:
		e.ending = r.num32()
	case 6:
		e.ended = r.flag()
	case 7:
		e.open = r.num32()
	case 8:
		e.openAll = r.num32()
	case 9:
		e.permBad = r.num32()
	case 10:
		e.advancing = r.flag()
	case 11:
		e.nextSerial = r.num32()
	case 12:
		e.nextSeq = r.num32()
	case 13:
		e.created = Millis(r.int())
	case 14:
		e.updated = Millis(r.int())
	case 15:
		e.endTime = Millis(r.int())
	case 16:
		e.lastRetried = Millis(r.int())
	case 17:
		e.endIndex = r.num()
	case 18:
		e.due.at = Millis(r.int())
	case 19:
		e.due.tie = r.num()
	default:
		r.unknown()
	}
}

func (e *execution) decodeFacts(r *reader) {
	switch r.tag {
	case 20:
		e.input = r.data()
	case 21:
		e.output = r.data()
	case 22:
		e.variables = r.data()
	case 23:
		e.parent = r.task()
	case 24:
		e.corr = r.str()
	case 25:
		e.createdBy = r.str()
	case 26:
		e.event = r.str()
	case 27:
		e.key_ = r.str()
	case 28:
		e.priority = r.int32()
	case 29:
		e.domains = append(e.domains, readDomain(r))
	case 30:
		e.reason = r.str()
	case 31:
		e.failedTask = r.num32()
	case 32:
		e.depth = r.num32()
	case 33:
		e.counted = r.flag()
	case 34:
		e.faulted = r.flag()
	case 35:
		e.jobs = r.num32()
	case 38:
		e.received = r.num32()
	case 39:
		e.inboxBytes = r.num32()
	case 50:
		e.quota = r.str()
	case 51:
		e.quotaState = quotaState(r.num8())
	case 52:
		e.quotaTurn = r.num()
	case 53:
		e.parkedTask = r.num32()
	default:
		e.decodeSweep(r)
	}
}

func (e *execution) decodeSweep(r *reader) {
	switch r.tag {
	case 40:
		e.gone = r.flag()
	case 41:
		e.hideFrom = r.num32()
	case 42:
		e.hideTo = r.num32()
	case 43:
		e.cutTo = r.num32()
	case 44:
		e.jumped = r.num32()
	case 45:
		e.revival = &revival{}
		r.nest(e.revival.field)
	case 46:
		e.failing = r.flag()
	default:
		r.unknown()
	}
}
