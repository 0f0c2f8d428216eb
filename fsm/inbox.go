package fsm

import (
	"cmp"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// Bounds of the messages that an execution keeps.
const (
	// MaxMessages bounds their number.
	MaxMessages = 1000
	// MaxMessageBytes bounds their size, so that one step can take them all.
	MaxMessageBytes = 4 << 20
	// keepMessages is how long they are kept after the last of them came.
	keepMessages Millis = 86_400_000
	// maxBatch bounds the messages that one step takes.
	maxBatch = 100
)

// message is one that an execution was given and no step has taken.
type message struct {
	at   Millis // when it came
	body Data
}

// inboxKey orders the messages of an execution by when they came, and the records that
// wait for one by serial. An execution never has both.
type inboxKey struct {
	exec ExecID
	list inboxList
	n    uint32
}

// inboxList numbers are stored.
type inboxList uint8

const (
	inboxMessages inboxList = 1 + iota
	inboxPulls              // records that wait; their messages are empty
)

func compareInbox(a, b inboxKey) int {
	return cmp.Or(a.exec.Compare(b.exec), cmp.Compare(a.list, b.list), cmp.Compare(a.n, b.n))
}

func encodeInbox(w *writer, k inboxKey, m message) {
	w.exec(1, k.exec)
	w.num(2, uint64(k.list))
	w.num(3, uint64(k.n))
	w.int(4, int64(m.at))
	w.data(5, m.body)
}

func decodeInbox(r *reader) (k inboxKey, m message) {
	for r.next() {
		switch r.tag {
		case 1:
			k.exec = r.exec()
		case 2:
			k.list = inboxList(r.num8())
		case 3:
			k.n = r.num32()
		case 4:
			m.at = Millis(r.int())
		case 5:
			m.body = r.data()
		default:
			r.unknown()
		}
	}
	return k, m
}

// pullKey is the row of a record that waits for messages.
func pullKey(t TaskID) inboxKey { return inboxKey{exec: t.Exec, list: inboxPulls, n: t.Serial} }

// messages counts those that an execution keeps.
func (s *State) messages(id ExecID) int {
	t := s.inbox.tree
	return t.Rank(inboxKey{exec: id, list: inboxPulls}) - t.Rank(inboxKey{exec: id, list: inboxMessages})
}

// firstRow is the first row of a list of an execution.
func (s *State) firstRow(id ExecID, list inboxList) (k inboxKey, m message, ok bool) {
	for k, m := range s.inbox.tree.From(inboxKey{exec: id, list: list}) {
		return k, m, k.exec == id && k.list == list
	}
	return k, m, false
}

// pushMessage keeps a message for an execution, or gives it to a record that waits.
func (s *State) pushMessage(c *PushMessage) (Result, *Rejection) {
	e, rej := s.idle(c.Exec)
	if rej != nil {
		return Result{}, rej
	}
	if e.status.Terminal() {
		return Result{}, reject(Conflict, "Workflow ", e.id.String(), " has ended and takes no message.")
	}
	body := c.Message
	if len(body) == 0 {
		body = []byte(emptyObject)
	}
	r := s.enter(e)
	s.expireMessages(r.e)
	if why := s.fullInbox(r.e, len(body)); why != "" {
		return Result{}, reject(Exhausted, why)
	}
	r.e.received++
	r.e.inboxBytes += uint32(len(body))
	id := messageID(e.id, r.e.received)
	s.inbox.put(inboxKey{exec: e.id, list: inboxMessages, n: r.e.received}, message{at: s.now, body: raw(body)})
	s.emit(Event{Kind: MessageStored, Exec: e.id, Ref: id.String()})
	if k, _, ok := s.firstRow(e.id, inboxPulls); ok { // also while it is paused: so do timers
		s.takeMessages(r, s.taskAt(r.e, k.n))
	}
	s.leave(r)
	return Result{Exec: e.id, Task: id}, nil
}

// fullInbox says why an execution cannot keep another message of a size.
func (s *State) fullInbox(e *execution, size int) string {
	switch {
	case s.messages(e.id) >= MaxMessages:
		return join("Workflow ", e.id.String(), " keeps ", itoa(MaxMessages), " messages that no step has taken; more are not allowed")
	case int(e.inboxBytes)+size > MaxMessageBytes:
		return join("Workflow ", e.id.String(), " keeps ", itoa(int64(e.inboxBytes)), " bytes of messages that no step has taken; with this one they would be ",
			itoa(int64(e.inboxBytes)+int64(size)), ", and at most ", itoa(MaxMessageBytes), " are allowed")
	case e.received == 1<<32-1:
		return join("Workflow ", e.id.String(), " has been given as many messages as can be numbered")
	}
	return ""
}

// pullMessages takes messages for a new record, or lets it wait for one. No record can be
// waiting when there are some: each that comes goes to one that waits.
func (s *State) pullMessages(r *run, t *task) {
	s.expireMessages(r.e)
	_, _, some := s.firstRow(r.e.id, inboxMessages)
	if blocking, ok := expr.Get(t.input.bytes(), "blocking"); !some && !(ok && isFalse(blocking)) {
		s.inbox.put(pullKey(t.id), message{})
		return
	}
	s.takeMessages(r, t)
}

func isFalse(v []byte) bool {
	text, isText := expr.Unquote(v)
	return string(v) == "false" || isText && text == "false"
}

// batchOf is how many messages a record takes at most.
func batchOf(t *task) int {
	n, _ := intInput(t, "batchSize")
	return int(max(1, min(n, maxBatch)))
}

// takeMessages completes a record with the messages that came first.
func (s *State) takeMessages(r *run, t *task) {
	out := []byte(`{"messages":[`)
	n := 0
	for ; n < batchOf(t); n++ {
		k, m, ok := s.firstRow(r.e.id, inboxMessages)
		if !ok {
			break
		}
		if n > 0 {
			out = append(out, ',')
		}
		out = expr.AppendString(append(out, `{"id":`...), messageID(k.exec, k.n).String())
		out = expr.AppendString(append(out, `,"workflowId":`...), k.exec.String())
		out = append(append(out, `,"payload":`...), m.body.raw...)
		out = append(def.AppendInstant(append(out, `,"receivedAt":"`...), int64(m.at)), `"}`...)
		s.forgetMessage(r.e, k, m)
	}
	s.spend(n + len(out)/payloadUnit)
	s.completeInline(r, t, append(appendInt(append(out, `],"count":`...), int64(n)), '}'))
}

func (s *State) forgetMessage(e *execution, k inboxKey, m message) {
	s.inbox.drop(k)
	e.inboxBytes -= uint32(len(m.body.raw))
}

// expireMessages forgets what an execution keeps when the newest of it is too old.
func (s *State) expireMessages(e *execution) {
	for k, m := range s.inbox.tree.Before(inboxKey{exec: e.id, list: inboxPulls}) {
		if k.exec != e.id || k.list != inboxMessages || m.at > s.now-keepMessages {
			return
		}
		break
	}
	if s.dropMessages(e) {
		s.emit(Event{Kind: MessagesDropped, Exec: e.id})
	}
}

// dropMessages forgets all that an execution keeps, which one quantum always covers, and
// reports whether there was any.
func (s *State) dropMessages(e *execution) (some bool) {
	for {
		k, m, ok := s.firstRow(e.id, inboxMessages)
		if !ok {
			return some
		}
		s.spend(1)
		s.forgetMessage(e, k, m)
		some = true
	}
}

// verifyInbox checks that messages and records that wait for them are within bounds, and
// of executions that can use them.
func (s *State) verifyInbox() error {
	bytes := map[ExecID]uint32{}
	for k, m := range s.inbox.tree.All() {
		e, ok := s.executions.get(k.exec)
		if !ok || e.status.Terminal() && e.sweep == sweepNone {
			return broken("inbox of ", k.exec.String(), ": its execution is over")
		}
		if k.list == inboxMessages {
			bytes[k.exec] += uint32(len(m.body.raw))
			if k.n > e.received || s.messages(e.id) > MaxMessages {
				return broken("inbox of ", k.exec.String(), ": more messages than there can be")
			}
			continue
		}
		t, ok := s.tasks.get(TaskID{Exec: k.exec, Serial: k.n})
		if !ok || t.place != placeWaiting || s.nodeOf(e, t.node).Kind != def.PullMessages || s.messages(e.id) > 0 {
			return broken("inbox of ", k.exec.String(), ": a row has no record that waits")
		}
	}
	for id, e := range s.executions.tree.All() {
		if e.inboxBytes != bytes[id] || e.inboxBytes > MaxMessageBytes {
			return broken("inbox of ", id.String(), ": bytes are ", itoa(int64(e.inboxBytes)), ", recounted ", itoa(int64(bytes[id])))
		}
	}
	return nil
}

// toRun says whether the flow has a record still before it.
func (s *State) toRun(e *execution, t *task) bool {
	return e.over(t) || e.sweep != sweepNone || s.held.has(heldKey{exec: e.id, list: heldBatch, serial: t.id.Serial})
}
