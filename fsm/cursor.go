package fsm

import "encoding/hex"

// position is a place in the order of a search: by the time of the start of the
// execution, then by serial. The zero position is the beginning.
type position struct {
	time   timeKey
	serial uint32 // of a task; 0 in a search for executions
}

// comparePosition orders positions newest first, tasks of one execution as they were
// made.
func comparePosition(a, b position) int {
	if c := compareTime(a.time, b.time); c != 0 {
		return c
	}
	switch {
	case a.serial < b.serial:
		return -1
	case a.serial > b.serial:
		return 1
	}
	return 0
}

// sortKey is a record's value in a field that a search is sorted by.
type sortKey struct {
	null bool
	text string
	num  int64
}

// cursor says where a search goes on: behind a hit, in what lies behind scan.
type cursor struct {
	check uint64 // of the query, so that it is not used with another
	scan  position
	after *hit
	total int // of the whole search, -1 when it is not known
}

func (c *cursor) text() string {
	var w writer
	w.num(1, c.check)
	w.position(2, c.scan)
	w.num(3, uint64(c.total+1))
	if c.after != nil {
		w.position(4, c.after.at)
		for _, k := range c.after.keys {
			w.nest(5, func(w *writer) {
				w.flag(1, k.null)
				w.str(2, k.text)
				w.int(3, k.num)
			})
		}
	}
	return hex.EncodeToString(w.b)
}

func (w *writer) position(tag int, p position) {
	w.nest(tag, func(w *writer) {
		w.int(1, int64(p.time.created))
		w.exec(2, p.time.exec)
		w.num(3, uint64(p.serial))
	})
}

func (r *reader) position() (p position) {
	r.nest(func(r *reader) {
		switch r.tag {
		case 1:
			p.time.created = Millis(r.int())
		case 2:
			p.time.exec = r.exec()
		case 3:
			p.serial = r.num32()
		default:
			r.unknown()
		}
	})
	return p
}

// parseSearchCursor reads what text wrote, for a query of that check with so many
// fields to sort by. Empty text is the beginning.
func parseSearchCursor(text string, check uint64, keys int) (cursor, error) {
	c := cursor{check: check, total: -1}
	if text == "" {
		return c, nil
	}
	b, err := hex.DecodeString(text)
	r := reader{b: b}
	c.check = 0
	for err == nil && r.next() {
		c.field(&r)
	}
	if err != nil || r.err != nil || c.after != nil && len(c.after.keys) != keys {
		return c, badField("cursor", "is not one that a page before gave")
	}
	if c.check != check {
		return c, badField("cursor", "is of a search with another query, text or sort")
	}
	return c, nil
}

func (c *cursor) field(r *reader) {
	switch r.tag {
	case 1:
		c.check = r.num()
	case 2:
		c.scan = r.position()
	case 3:
		c.total = int(r.num32()) - 1
	case 4:
		c.after = &hit{at: r.position()}
	case 5:
		k := sortKey{}
		r.nest(func(r *reader) {
			switch r.tag {
			case 1:
				k.null = r.flag()
			case 2:
				k.text = r.str()
			case 3:
				k.num = r.int()
			default:
				r.unknown()
			}
		})
		if c.after == nil {
			r.fail(ErrCorrupt)
			return
		}
		c.after.keys = append(c.after.keys, k)
	default:
		r.unknown()
	}
}
