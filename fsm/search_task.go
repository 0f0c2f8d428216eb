package fsm

import (
	"iter"
	"slices"

	"github.com/pawlhq/pawl/fsm/query"
)

// TaskHit is a task that was found, with what its execution says.
type TaskHit struct {
	TaskInfo
	Definition  string
	Correlation string
	Priority    int32
}

// TaskPage is one page of tasks.
type TaskPage struct {
	Items   []TaskHit
	Next    string // empty at the end
	Total   int    // tasks that the query selects; -1 when it is not known
	Partial bool   // the search was cut short at its budget; Next goes on
}

// SearchTasks gives tasks, every attempt being one. Their order, unless the query has
// one, is that of their executions, newest first, and in each as they were made.
func (v View) SearchTasks(q Query) (TaskPage, error) {
	q.Definition, q.Status, q.Correlation = "", 0, ""
	s, err := v.newSearch(&q, taskFields, true)
	if err != nil || v.s == nil {
		return TaskPage{}, err
	}
	s.run(s.tasks)
	page := TaskPage{Total: s.total, Partial: s.partial, Next: s.next()}
	for _, h := range s.hits {
		id := h.at.task()
		e, _ := v.s.executions.get(id.Exec)
		t, _ := v.s.tasks.get(id)
		found := TaskHit{TaskInfo: v.brief(e, t), Definition: v.s.planOf(e).Name, Correlation: e.corr, Priority: e.priority}
		if q.Payloads {
			found.Input, found.Output = v.s.shownJSON(e, t), v.s.render(e, t.output)
		}
		page.Items = append(page.Items, found)
	}
	return page, nil
}

// SearchByTasks gives the executions of the tasks that a query selects, each once on a
// page. Total counts tasks.
func (v View) SearchByTasks(q Query) (Page, error) {
	payloads := q.Payloads
	q.Payloads = false
	found, err := v.SearchTasks(q)
	page := Page{Next: found.Next, Total: found.Total, Partial: found.Partial}
	seen := map[ExecID]bool{}
	for i := range found.Items {
		id := found.Items[i].ID.Exec
		if seen[id] {
			continue
		}
		seen[id] = true
		e, _ := v.s.executions.get(id)
		if payloads {
			x, _ := v.Execution(id)
			page.Items = append(page.Items, x)
		} else {
			page.Items = append(page.Items, v.summary(e))
		}
	}
	return page, err
}

func (p position) task() TaskID { return TaskID{Exec: p.time.exec, Serial: p.serial} }

// tasks gives the records of the access: the open ones by their index when the query
// wants only such and they are few, else those of each execution.
func (s *search) tasks(yield func(position, subject) bool) {
	lo, hi := taskTimes(&s.f.condition)
	if list, ok := s.open(); ok {
		for _, at := range list {
			if !s.yieldTask(at, yield) {
				return
			}
		}
		return
	}
	for i := range s.access.spans {
		s.access.spans[i].hi = min(s.access.spans[i].hi, hi)
	}
	if from := s.from.scan; from.serial != 0 && !s.recordsOf(from.time, from.serial+1, yield) {
		return
	}
	w := s.v.walkSpans(s.access.spans, false, s.from.scan.time)
	for {
		k, ok := w.next()
		if !ok {
			return
		}
		e, found := s.v.s.executions.get(k.exec)
		if !found || e.endTime != 0 && e.endTime < lo { // nothing in it began as late as that
			if s.spent() {
				return
			}
			s.budget--
			s.scanned = position{time: k}
			continue
		}
		if !s.recordsOf(k, 1, yield) {
			return
		}
	}
}

func (s *search) recordsOf(k timeKey, from uint32, yield func(position, subject) bool) bool {
	e, ok := s.v.s.executions.get(k.exec)
	if !ok {
		return true
	}
	s.budget--
	for t := range s.v.recordsOf(e, from) {
		if !yield(position{time: k, serial: t.id.Serial}, taskSubject{v: s.v, e: e, t: t}) {
			return false
		}
	}
	return true
}

func (s *search) yieldTask(at position, yield func(position, subject) bool) bool {
	e, ok := s.v.s.executions.get(at.time.exec)
	if !ok {
		return true
	}
	t, ok := s.v.record(e, at.serial)
	return !ok || yield(at, taskSubject{v: s.v, e: e, t: t})
}

// open lists the open records of the types that the query wants, in the order of the
// search, if the query wants no other and they are fewer than what else there is.
func (s *search) open() ([]position, bool) {
	if !wantsOpen(&s.f.condition) {
		return nil, false
	}
	tree := s.v.s.openTasks
	types, named := wantedTypes(&s.f.condition)
	if !named {
		types = s.v.openTypes()
	}
	rows := 0
	for _, name := range types {
		rows += tree.Rank(openKey{taskType: name, task: TaskID{Exec: newestExec}}) - tree.Rank(openKey{taskType: name})
	}
	if rows > maxScan || len(types) > maxSpans || s.access.rows < rows {
		return nil, false
	}
	list := make([]position, 0, rows)
	for _, name := range types {
		for k := range tree.From(openKey{taskType: name}) {
			if k.taskType != name {
				break
			}
			if e, ok := s.v.s.find(k.task.Exec); ok {
				list = append(list, position{time: timeKey{created: e.created, exec: e.id}, serial: k.task.Serial})
			}
		}
	}
	slices.SortFunc(list, comparePosition)
	if s.from.scan != (position{}) {
		at, found := slices.BinarySearchFunc(list, s.from.scan, comparePosition)
		if found {
			at++
		}
		list = list[at:]
	}
	return list, true
}

// openTypes gives the types that have open records.
func (v View) openTypes() []string {
	var out []string
	for next := ""; len(out) <= maxSpans; {
		found := false
		for k := range v.s.openTasks.From(openKey{taskType: next}) {
			out, next, found = append(out, k.taskType), join(k.taskType, "\x00"), true
			break
		}
		if !found {
			break
		}
	}
	return out
}

// parts gives the conditions that all have to hold.
func (c *condition) parts() []condition {
	if c.op == query.And {
		return c.kids
	}
	return []condition{*c}
}

// wantsOpen reports whether only open records satisfy c.
func wantsOpen(c *condition) bool {
	for _, part := range c.parts() {
		if part.field != fieldStatus {
			continue
		}
		texts, ok := textsOf(&part)
		if ok && !slices.ContainsFunc(texts, func(text string) bool {
			status, known := ParseTaskStatus(text)
			return known && status.Terminal()
		}) {
			return true
		}
	}
	return false
}

func wantedTypes(c *condition) ([]string, bool) {
	for _, part := range c.parts() {
		if part.field == fieldTaskType {
			if texts, ok := textsOf(&part); ok {
				return texts, true
			}
		}
	}
	return nil, false
}

// taskTimes gives the latest start of an execution whose records satisfy c, and the
// earliest end.
func taskTimes(c *condition) (lo, hi Millis) {
	lo, hi = firstTime, lastTime
	for _, part := range c.parts() {
		if part.kind != fieldNumber || len(part.values) == 0 || !part.values[0].whole {
			continue
		}
		began := part.field == fieldScheduled || part.field == fieldStart
		if !began && part.field != fieldEnd && part.field != fieldUpdate {
			continue
		}
		first, last := Millis(part.values[0].num), Millis(part.values[len(part.values)-1].num)
		switch part.op {
		case query.Less, query.LessOrEqual:
			hi = min(hi, first)
		case query.Equal:
			lo, hi = laterIf(began, lo, first), min(hi, first)
		case query.Greater, query.GreaterOrEqual:
			lo = laterIf(began, lo, first)
		case query.Between:
			lo = laterIf(began, lo, first)
			if part.values[1].whole {
				hi = min(hi, last)
			}
		}
	}
	return lo, hi
}

func laterIf(ok bool, a, b Millis) Millis {
	if ok {
		return max(a, b)
	}
	return a
}

// recordsOf gives the records of an execution from a serial on, in the order in which
// they were made. It is the one way by which readers see records.
func (v View) recordsOf(e *execution, from uint32) iter.Seq[*task] {
	return func(yield func(*task) bool) {
		for k, t := range v.s.tasks.tree.From(TaskID{Exec: e.id, Serial: from}) {
			if k.Exec != e.id {
				return
			}
			if !e.hides(k.Serial) && !yield(t) {
				return
			}
		}
	}
}

// record gives one record as readers see it.
func (v View) record(e *execution, serial uint32) (*task, bool) {
	return v.s.findTask(TaskID{Exec: e.id, Serial: serial})
}
