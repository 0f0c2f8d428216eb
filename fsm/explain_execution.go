package fsm

// ExplainExecution says what an execution waits for, and whether it is known. An
// execution that has not ended has at least one reason, unless it is too large to tell.
func (v View) ExplainExecution(id ExecID) (Explanation, bool) {
	if v.s == nil {
		return Explanation{}, false
	}
	e, ok := v.s.find(id)
	if !ok {
		return Explanation{}, false
	}
	x := explainer{s: v.s, left: maxExplainSteps}
	more := x.whole(e, maxReasons)
	return Explanation{Status: e.status, Reasons: x.out, More: more}, true
}

// NewestTask is the task that a reference name stands for in an execution: the newest
// open one, else the newest. The suffix of an iteration may be given.
func (v View) NewestTask(id ExecID, ref string) (TaskID, bool) {
	if v.s == nil {
		return TaskID{}, false
	}
	e, ok := v.s.find(id)
	if !ok {
		return TaskID{}, false
	}
	if t, open := v.s.openByRef(e, ref); open {
		return t.id, true
	}
	t, made := v.s.latestOf(e, ref)
	if !made {
		plain, _ := plainRef(ref)
		if t, made = v.s.latestOf(e, plain); !made || visibleRef(v.s, t) != ref {
			return TaskID{}, false
		}
	}
	return t.id, true
}

// whole says what an execution waits for as a whole, then up to most of its open tasks.
// It reports whether there are more.
func (x *explainer) whole(e *execution, most int) (more bool) {
	from := len(x.out)
	x.execution(e)
	if e.status.Terminal() {
		return false
	}
	held := len(x.out) > from
	from = len(x.out)
	open, more := x.tasks(e, most)
	if more || held || !waitsForItself(x.out[from:], x.depth) {
		return more
	}
	if found, all := x.forks(e); found || !all {
		return !all
	}
	x.at, x.ref = TaskID{Exec: e.id}, ""
	if open == 0 {
		x.say(WhyFault, "nothing of it is open, and nothing will move it: this is a fault of the machine")
		return false
	}
	x.add(Reason{Kind: WhyStuck, Count: open, Text: "all that is open waits for each other, or for what never comes: only a person can move it"})
	return false
}

// tasks explains up to most of an execution's open tasks.
func (x *explainer) tasks(e *execution, most int) (open int, more bool) {
	for t := range (View{s: x.s}).recordsOf(e, 1) {
		if open == int(e.openAll) && !e.early() {
			return open, false
		}
		if len(x.out) >= maxReasons || !x.spend() {
			return open, true
		}
		if effective(e, t).Terminal() {
			continue
		}
		if open == most {
			return open, true
		}
		open++
		x.task(e, t)
	}
	return open, false
}

// forks says which forks are still to begin branches. It reports whether there is one,
// and whether all records were looked at.
func (x *explainer) forks(e *execution) (found, all bool) {
	for t := range (View{s: x.s}).recordsOf(e, 1) {
		if !x.spend() {
			return found, false
		}
		if n := x.s.nodeOf(e, t.node); t.status == TaskStatusCompleted && unexpanded(t, n) {
			x.at, x.ref = t.id, visibleRef(x.s, t)
			x.expanding(t, n)
			found = true
		}
	}
	return found, true
}

// waitsForItself says whether all tasks of one depth wait for others of their execution.
func waitsForItself(list []Reason, depth int) bool {
	for _, r := range list {
		switch r.Kind {
		case WhyMembers, WhyNever, WhyIteration:
		default:
			if r.Depth == depth {
				return false
			}
		}
	}
	return true
}

// execution is said of an execution as a whole: what holds up all of it.
func (x *explainer) execution(e *execution) {
	x.at, x.ref = TaskID{Exec: e.id}, ""
	if e.status.Terminal() {
		x.say(WhyEnded, "the execution is ", e.status.String())
		if e.sweep != sweepNone {
			x.add(Reason{Kind: WhyClosing, Count: int(e.openAll) + int(e.ending), Text: join("what it left behind is being swept: ",
				plural(int(e.openAll), "task", "tasks"), " and ", plural(int(e.ending), "execution", "executions"), " below it")})
		}
		return
	}
	switch {
	case e.faulted:
		x.say(WhyFault, "the machine caught a fault in it and paused it; resume lets it try again")
	case e.status == Paused:
		x.say(WhyPaused, "the execution is paused: what ends meanwhile has no successor until it is resumed")
	}
	if e.counted {
		x.say(WhyClosing, "its parent has ended, and it is about to end with it")
	}
	agenda := x.s.agenda.tree.Len()
	switch {
	case e.sweep != sweepNone:
		x.add(Reason{Kind: WhySweep, Count: agenda, Text: "its records are being put in order after a verb; it goes on behind that"})
	case e.advancing:
		x.add(Reason{Kind: WhyAgenda, Count: agenda, Text: join("it has more to do than one entry may; ",
			plural(agenda, "item stands", "items stand"), " in the agenda")})
	case e.nextSerial == 1 && !e.ended && !e.faulted:
		x.add(Reason{Kind: WhyAgenda, Count: agenda, Text: join("it is about to begin; ", plural(agenda, "item stands", "items stand"), " in the agenda")})
	}
}
