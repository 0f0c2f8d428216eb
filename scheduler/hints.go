package scheduler

import "github.com/pawlhq/pawl/fsm"

// hints remembers for granted tasks which queues can become ready when they end.
// Tasks that nobody saw end, as those of an execution that was terminated, are
// forgotten with the older half. The zero value is empty.
type hints struct {
	young, old map[fsm.TaskID]hint
}

type hint struct {
	own   fsm.Queue   // where the task returns to
	reach []fsm.Queue // what may follow it
}

func (h *hints) observe(a *fsm.Applied) {
	for i := range a.Events {
		if e := &a.Events[i]; endsLease(e.Kind) {
			t := fsm.TaskID{Exec: e.Exec, Serial: e.Serial}
			delete(h.young, t)
			delete(h.old, t)
		}
	}
	for i := range a.Grants {
		g := &a.Grants[i]
		h.put(g.Task, hint{own: g.Queue, reach: g.Hints})
	}
}

// endsLease reports whether a task of such an event is leased no more.
func endsLease(k fsm.EventKind) bool {
	switch k {
	case fsm.TaskProgressed, fsm.TaskReturned, fsm.TaskCompleted, fsm.TaskCompletedWithErrors,
		fsm.TaskFailed, fsm.TaskTimedOut, fsm.TaskCanceled:
		return true
	}
	return false
}

func endsExecution(k fsm.EventKind) bool {
	switch k {
	case fsm.ExecutionCompleted, fsm.ExecutionFailed, fsm.ExecutionTimedOut, fsm.ExecutionTerminated:
		return true
	}
	return false
}

func (h *hints) put(t fsm.TaskID, v hint) {
	if h.young == nil || len(h.young) >= maxHints {
		h.old, h.young = h.young, map[fsm.TaskID]hint{}
	}
	h.young[t] = v
}

func (h *hints) get(t fsm.TaskID) (hint, bool) {
	v, ok := h.young[t]
	if !ok {
		v, ok = h.old[t]
	}
	return v, ok
}

// starts remembers for definitions which queues a start can make ready. It is as
// large as the set of definitions in State.
type starts map[string]*startHints

type startHints struct {
	latest   int32
	versions map[int32][]fsm.Queue
}

func (s starts) load(v fsm.View) {
	clear(s)
	for d := range v.DefinitionHints() {
		s.put(d)
	}
}

func (s starts) observe(ds []fsm.DefinitionHint) {
	for _, d := range ds {
		s.put(d)
	}
}

func (s starts) put(d fsm.DefinitionHint) {
	h := s[d.Name]
	if len(d.Queues) == 0 {
		if h == nil {
			return
		}
		delete(h.versions, d.Version)
		if len(h.versions) == 0 {
			delete(s, d.Name)
		}
		return
	}
	if h == nil {
		h = &startHints{versions: map[int32][]fsm.Queue{}}
		s[d.Name] = h
	}
	h.versions[d.Version] = d.Queues
	if d.Latest {
		h.latest = d.Version
	}
}

func (s starts) get(name string, version int32) []fsm.Queue {
	h := s[name]
	if h == nil {
		return nil
	}
	if version == 0 {
		version = h.latest
	}
	return h.versions[version]
}
