package fsm

const kindPush kind = 31

// PushMessage gives a message to an execution that has not ended. The first step of it
// that waits for messages takes it at once; else it is kept, behind those before it,
// until a PULL_WORKFLOW_MESSAGES step asks. It is answered with Result.Exec, the
// execution, and Result.Task, whose text is the id of the message. Refused with Conflict
// when the execution has ended, and with Exhausted while it keeps MaxMessages, or
// MaxMessageBytes of them.
type PushMessage struct {
	Exec    ExecID
	Message []byte // JSON object; empty means {}
}

func (*PushMessage) kind() kind { return kindPush }

func (c *PushMessage) append(w *writer) {
	w.exec(1, c.Exec)
	w.bytes(2, c.Message)
}

func (c *PushMessage) field(r *reader) {
	switch r.tag {
	case 1:
		c.Exec = r.exec()
	case 2:
		c.Message = r.bytes()
	default:
		r.unknown()
	}
}

func (c *PushMessage) validate() *Rejection {
	return first(checkExec("execution", c.Exec), checkObject("message", c.Message))
}
