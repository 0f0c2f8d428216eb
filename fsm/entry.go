package fsm

import "errors"

// Limits of entries.
const (
	// MaxCommands bounds the commands of an entry, and so the time that one Apply takes.
	MaxCommands = 512
	// MaxOffers bounds the offers of an entry.
	MaxOffers = 256
	// MaxSeen bounds the queues that an entry marks as asked for.
	MaxSeen = 256
	// MaxWork bounds the units of background work that an entry may spend.
	MaxWork = 8192
)

// Entry is one log entry as the machine sees it: what the leader knew, and what
// clients asked.
type Entry struct {
	Time     Millis
	Work     uint32
	Offers   []Offer
	Seen     []Queue
	Commands []*Command
}

// AppendTo appends the encoding of e to b. Decode reads it back to an equal entry.
func (e *Entry) AppendTo(b []byte) []byte {
	w := &writer{b: b}
	w.int(1, int64(e.Time))
	w.num(2, uint64(e.Work))
	for i := range e.Offers {
		o := &e.Offers[i]
		w.nest(3, func(w *writer) {
			w.bytes(1, o.Slot.Node[:])
			w.num(2, uint64(o.Slot.Boot))
			w.num(3, o.Slot.N)
			w.str(4, string(o.Queue))
			w.str(5, o.Worker)
		})
	}
	for _, q := range e.Seen {
		w.always(4, string(q))
	}
	for _, c := range e.Commands {
		w.nest(5, c.append)
	}
	return w.b
}

func (c *Command) append(w *writer) {
	w.num(1, uint64(c.Body.kind()))
	if !c.RequestID.IsZero() {
		w.bytes(2, c.RequestID[:])
	}
	w.str(3, c.Principal)
	w.nest(4, c.Body.append)
}

// Size is the number of bytes that c takes in an entry.
func (c *Command) Size() int {
	w := writer{b: make([]byte, 0, 256)}
	c.append(&w)
	return len(w.b)
}

// Decode reads an entry. Its payloads are copies that State may keep; b may be used
// again. An entry, command or field that this program does not know gives
// ErrVersion, bytes that no version writes ErrCorrupt; a command of a known kind that
// does not decode or breaks a limit is kept, to be refused when applied. Safe on any
// goroutine.
func Decode(b []byte) (*Entry, error) {
	e := &Entry{}
	r := reader{b: b}
	for r.next() {
		switch r.tag {
		case 1:
			e.Time = Millis(r.int())
		case 2:
			e.Work = r.num32()
		case 3:
			e.Offers = append(e.Offers, readOffer(&r))
		case 4:
			e.Seen = append(e.Seen, Queue(r.str()))
		case 5:
			e.Commands = append(e.Commands, readCommand(&r))
		default:
			r.unknown()
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if e.Work > MaxWork || len(e.Offers) > MaxOffers || len(e.Seen) > MaxSeen || len(e.Commands) > MaxCommands {
		return nil, ErrCorrupt
	}
	return e, nil
}

func readOffer(r *reader) (o Offer) {
	r.nest(func(r *reader) {
		switch r.tag {
		case 1:
			o.Slot.Node = r.node()
		case 2:
			o.Slot.Boot = r.num32()
		case 3:
			o.Slot.N = r.num()
		case 4:
			o.Queue = Queue(r.str())
		case 5:
			o.Worker = r.str()
		default:
			r.unknown()
		}
	})
	return o
}

func readCommand(r *reader) *Command {
	c := &Command{}
	r.nest(func(r *reader) {
		switch r.tag {
		case 1:
			if k := r.num(); k < uint64(kindEnd) {
				c.Body = newBody(kind(k))
			}
			if c.Body == nil {
				r.unknown()
			}
		case 2:
			c.RequestID = r.request()
		case 3:
			c.Principal = r.str()
		case 4:
			if c.Body == nil {
				r.fail(ErrCorrupt)
				return
			}
			readBody(r, c)
		default:
			r.unknown()
		}
	})
	if r.err == nil && c.Body == nil {
		r.fail(ErrCorrupt)
	}
	if r.err == nil && c.malformed == nil {
		if bad := c.check(len(r.val)); bad != nil {
			c.malformed = bad
		}
	}
	return c
}

func readBody(r *reader, c *Command) {
	in := reader{b: r.raw()}
	for in.next() {
		c.Body.field(&in)
	}
	switch {
	case errors.Is(in.err, ErrVersion):
		r.fail(in.err)
	case in.err != nil:
		c.malformed = in.err
	}
}
