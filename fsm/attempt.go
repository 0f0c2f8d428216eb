package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// attempt says how a record is made that is not the first of its step: as a further
// attempt with a new number, or in the place of one that is taken away for it.
type attempt struct {
	serial, seq uint32 // of the record that it takes the place of; 0: new numbers
	retry       uint32
	retriedOf   uint32
	last        Lease  // of the record in its place: leases go on ascending
	name        string // what the DYNAMIC step of the record in its place was resolved to
	keep        bool   // input is given and not evaluated
	input       Data
}

// remakeTask is newTask for the attempt that r asks for.
func (s *State) remakeTask(r *run, ref nodeRef, n *def.Node, loop, iteration uint32) *task {
	as := r.as
	r.as = nil
	t := &task{
		id: TaskID{Exec: r.e.id, Serial: as.serial}, node: ref, ref: n.Ref,
		loop: loop, iteration: iteration, seq: as.seq, retry: as.retry, retriedOf: as.retriedOf,
		status: TaskStatusInProgress, scheduled: s.now, firstScheduled: s.now,
		last: as.last,
	}
	if as.serial == 0 {
		t.id.Serial, t.seq = r.e.nextSerial, r.e.nextSeq
		r.e.nextSerial++
		r.e.nextSeq++
	}
	if as.keep {
		t.input, r.given = as.input, t.id.Serial
	}
	return t
}

// tryAgain makes a further attempt of a step that did not succeed.
func (s *State) tryAgain(r *run, t *task) {
	before := r.e.nextSerial
	r.as = &attempt{retry: t.retry + 1, retriedOf: t.id.Serial}
	s.makeStep(r, step{node: t.node, ref: t.ref, member: t.member, loop: t.loop, iteration: t.iteration}, 0)
	if r.e.nextSerial > before {
		s.tasks.mut(t).retried = true
	}
}

// remake runs a record again under its id, seq and number of attempts: all else is as
// newly made. Its input stays, or is the one given.
func (s *State) remake(r *run, t *task, retry uint32, input Data) {
	as := &attempt{
		serial: t.id.Serial, seq: t.seq, retry: retry, retriedOf: t.retriedOf,
		last: t.last, keep: true, input: input,
	}
	if f, ok := s.fragments.get(TaskID{Exec: r.e.id, Serial: t.node.fragment}); ok {
		as.name = f.name // another input does not make it another task
	}
	if s.nodeOf(r.e, t.node).Kind == def.SubWorkflow {
		as.input = childInput(input)
	}
	st := step{node: s.base(r.e, t.node), ref: t.ref, member: t.member, loop: t.loop, iteration: t.iteration}
	s.emit(Event{Kind: TaskReopened, Exec: r.e.id, Serial: as.serial, Ref: visibleRef(s, t), Retry: retry})
	s.removeTask(r.e, t)
	r.as = as
	s.makeStep(r, st, 0)
	s.bringBack(r.e, t)
}

// bringBack makes the newest record of a step that is left its latest, when the one that
// was to be made in the place of t was not: a dynamic fork without a list ends the
// execution instead. In a loop that is a record of an earlier iteration.
func (s *State) bringBack(e *execution, t *task) {
	k := latestKey{exec: e.id, ref: t.ref}
	if s.latest.has(k) || t.loop == 0 {
		return
	}
	for id, x := range s.tasks.tree.Before(t.id) {
		if id.Exec != e.id || id.Serial <= t.loop {
			return
		}
		if s.spend(1); x.ref == t.ref {
			s.latest.put(k, id.Serial)
			return
		}
	}
}

// childInput is the input of a child from that of its record, which shows it as a
// member once the child has been started.
func childInput(in Data) Data {
	if v, ok := expr.Get(in.bytes(), "workflowInput"); ok && expr.KindOf(v) == expr.Map {
		if _, started := expr.Get(in.bytes(), "subWorkflowName"); started {
			return raw(v)
		}
	}
	return in
}
