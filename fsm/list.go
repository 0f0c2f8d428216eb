package fsm

import (
	"iter"
	"strings"
)

// maxListScan bounds the rows that one page looks at when its filter is not what the
// index orders by; the page is then shorter, and Next goes on behind it.
const maxListScan = 200_000

// List gives a page of executions, newest first. A cursor that is no cursor of List
// gives an empty page.
func (v View) List(q ListQuery) Page {
	limit := q.Limit
	if limit <= 0 {
		limit = DefaultPage
	}
	limit = min(limit, MaxPage)
	after, ok := parseCursor(q.After)
	if v.s == nil || !ok {
		return Page{}
	}
	page := Page{Total: v.total(q)}
	scanned := 0
	var last timeKey
	for k := range v.walk(q, after) {
		if len(page.Items) == limit || scanned == maxListScan {
			page.Next = cursorText(last)
			break
		}
		scanned++
		last = k
		e, found := v.s.executions.get(k.exec)
		if found && v.selects(q, e) {
			page.Items = append(page.Items, v.summary(e))
		}
	}
	return page
}

func (v View) selects(q ListQuery, e *execution) bool {
	return (q.Status == 0 || e.status == q.Status) &&
		(q.Definition == "" || v.s.planOf(e).Name == q.Definition) &&
		(q.Correlation == "" || e.corr == q.Correlation)
}

// walk goes along the narrowest index, newest first, behind the cursor.
func (v View) walk(q ListQuery, after timeKey) iter.Seq[timeKey] {
	return func(yield func(timeKey) bool) {
		skip := func(k timeKey) bool { return after.exec != ExecID{} && compareTime(k, after) <= 0 }
		switch {
		case q.Correlation != "":
			from := after.exec
			if from.IsZero() {
				from = newestExec
			}
			for k := range v.s.byCorrelation.tree.From(correlationKey{corr: q.Correlation, exec: from}) {
				if k.corr != q.Correlation {
					return
				}
				e, _ := v.s.executions.get(k.exec)
				if at := (timeKey{created: e.created, exec: k.exec}); !skip(at) && !yield(at) {
					return
				}
			}
		case q.Status != 0 && q.Definition != "":
			for k := range v.s.byStatus.tree.From(statusKey{status: q.Status, name: q.Definition, created: after.from(), exec: after.exec}) {
				at := timeKey{created: k.created, exec: k.exec}
				if k.status != q.Status || k.name != q.Definition || !skip(at) && !yield(at) {
					return
				}
			}
		case q.Definition != "":
			for k := range v.s.byType.tree.From(typeKey{name: q.Definition, created: after.from(), exec: after.exec}) {
				at := timeKey{created: k.created, exec: k.exec}
				if k.name != q.Definition || !skip(at) && !yield(at) {
					return
				}
			}
		default:
			for k := range v.s.byTime.tree.From(timeKey{created: after.from(), exec: after.exec}) {
				if !skip(k) && !yield(k) {
					return
				}
			}
		}
	}
}

// from is where a descending walk begins: behind the cursor, or at the newest.
func (k timeKey) from() Millis {
	if k.exec.IsZero() {
		return 1<<63 - 1
	}
	return k.created
}

// total counts the rows of an index range without walking it.
func (v View) total(q ListQuery) int {
	switch {
	case q.Correlation != "":
		return -1
	case q.Status != 0 && q.Definition != "":
		t := v.s.byStatus.tree
		return t.Rank(statusKey{status: q.Status, name: q.Definition, created: -1 << 63}) -
			t.Rank(statusKey{status: q.Status, name: q.Definition, created: 1<<63 - 1, exec: newestExec})
	case q.Status != 0:
		t := v.s.byStatus.tree
		return t.Rank(statusKey{status: q.Status + 1, created: 1<<63 - 1, exec: newestExec}) -
			t.Rank(statusKey{status: q.Status, created: 1<<63 - 1, exec: newestExec})
	case q.Definition != "":
		t := v.s.byType.tree
		return t.Rank(typeKey{name: q.Definition, created: -1 << 63}) -
			t.Rank(typeKey{name: q.Definition, created: 1<<63 - 1, exec: newestExec})
	}
	return v.s.byTime.tree.Len()
}

// newestExec comes before every execution in the descending indexes.
var newestExec = ExecID{Hi: 1<<64 - 1, Lo: 1<<64 - 1}

func cursorText(k timeKey) string { return join(itoa(int64(k.created)), "-", k.exec.String()) }

// CheckCursor says whether a text is empty or was a Page.Next; the error is a *Rejection.
func CheckCursor(text string) error {
	if _, ok := parseCursor(text); !ok {
		return badField("cursor", "is not one that a page before gave")
	}
	return nil
}

func parseCursor(text string) (timeKey, bool) {
	if text == "" {
		return timeKey{}, true
	}
	created, id, found := strings.Cut(text, "-")
	at, ok := atoi([]byte(created))
	exec, err := ParseExecID(id)
	return timeKey{created: Millis(at), exec: exec}, found && ok && err == nil
}
