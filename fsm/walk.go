package fsm

import "slices"

// walker goes through the executions of spans by the time of their start, each once.
type walker struct {
	heads heap[*spanReader]
	last  timeKey // given last, zero before
}

// walkSpans begins a walk newest first, or oldest first; behind a key, unless it is zero.
func (v View) walkSpans(spans []span, oldest bool, behind timeKey) *walker {
	w := &walker{heads: heap[*spanReader]{less: func(a, b *spanReader) bool {
		if c := compareTime(a.buf[0], b.buf[0]); c != 0 {
			return c < 0 != oldest
		}
		return a.number < b.number
	}}}
	for i, s := range spans {
		r := &spanReader{v: v, span: s, number: i, oldest: oldest}
		if r.begin(behind); r.fill() {
			w.heads.push(r)
		}
	}
	return w
}

func (w *walker) next() (timeKey, bool) {
	for len(w.heads.items) > 0 {
		r := w.heads.items[0]
		k := r.buf[0]
		r.buf = r.buf[1:]
		if len(r.buf) > 0 || r.fill() {
			w.heads.sink()
		} else {
			w.heads.pop()
		}
		if k != w.last {
			w.last = k
			return k, true
		}
	}
	return timeKey{}, false
}

// chunk is how many rows of a range are read at once.
const chunk = 64

// spanReader reads one span, a chunk at a time.
type spanReader struct {
	span
	v      View
	number int
	oldest bool
	at     timeKey   // read behind it
	buf    []timeKey // read and not given
	space  [chunk]timeKey
	done   bool
}

func (r *spanReader) begin(behind timeKey) {
	if r.oldest {
		r.at = timeKey{created: r.lo}
		if !behind.exec.IsZero() && compareTime(behind, r.at) < 0 {
			r.at = behind
		}
		return
	}
	r.at = timeKey{created: r.hi, exec: newestExec}
	if !behind.exec.IsZero() && compareTime(behind, r.at) > 0 {
		r.at = behind
	}
}

// fill reads on and reports whether there was more.
func (r *spanReader) fill() bool {
	if r.done || r.lo > r.hi {
		return false
	}
	if r.kind >= spanCorrelation {
		r.done, r.buf = true, r.sorted()
		return len(r.buf) > 0
	}
	r.buf = r.space[:0]
	switch r.kind {
	case spanTime:
		r.readTime()
	case spanType:
		r.readType()
	case spanStatus:
		r.readStatus()
	}
	r.done = len(r.buf) < chunk
	if len(r.buf) == 0 {
		return false
	}
	r.at = r.buf[len(r.buf)-1]
	return true
}

// take keeps a row and reports whether to read on.
func (r *spanReader) take(k timeKey) bool {
	if k.created < r.lo || k.created > r.hi {
		return false
	}
	if k != r.at {
		r.buf = append(r.buf, k)
	}
	return len(r.buf) < chunk
}

func (r *spanReader) readTime() {
	rows := r.v.s.byTime.tree.From(r.at)
	if r.oldest {
		rows = r.v.s.byTime.tree.Before(r.at)
	}
	for k := range rows {
		if !r.take(k) {
			return
		}
	}
}

func (r *spanReader) readType() {
	at := typeKey{name: r.text, created: r.at.created, exec: r.at.exec}
	rows := r.v.s.byType.tree.From(at)
	if r.oldest {
		rows = r.v.s.byType.tree.Before(at)
	}
	for k := range rows {
		if k.name != r.text || !r.take(timeKey{created: k.created, exec: k.exec}) {
			return
		}
	}
}

func (r *spanReader) readStatus() {
	at := statusKey{status: r.status, name: r.text, created: r.at.created, exec: r.at.exec}
	rows := r.v.s.byStatus.tree.From(at)
	if r.oldest {
		rows = r.v.s.byStatus.tree.Before(at)
	}
	for k := range rows {
		if k.status != r.status || k.name != r.text || !r.take(timeKey{created: k.created, exec: k.exec}) {
			return
		}
	}
}

// sorted gives a span that is in another order as a list.
func (r *spanReader) sorted() []timeKey {
	var list []timeKey
	keep := func(id ExecID) {
		e, ok := r.v.s.executions.get(id)
		if !ok || e.created < r.lo || e.created > r.hi {
			return
		}
		k := timeKey{created: e.created, exec: id}
		if c := compareTime(k, r.at); c > 0 && !r.oldest || c < 0 && r.oldest {
			list = append(list, k)
		}
	}
	switch r.kind {
	case spanCorrelation:
		for k := range r.v.s.byCorrelation.tree.From(correlationKey{corr: r.text, exec: newestExec}) {
			if k.corr != r.text {
				break
			}
			keep(k.exec)
		}
	case spanChildren:
		for k := range r.v.s.byParent.tree.From(parentKey{parent: r.exec}) {
			if k.parent != r.exec {
				break
			}
			keep(k.exec)
		}
	default:
		keep(r.exec)
	}
	slices.SortFunc(list, compareTime)
	if r.oldest {
		slices.Reverse(list)
	}
	return list
}
