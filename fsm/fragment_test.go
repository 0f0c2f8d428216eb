package fsm

import (
	"testing"

	"github.com/pawlhq/pawl/fsm/def"
)

// bring gives a record a fragment and makes its members beside it.
func (w *twin) bring(id TaskID, source string) {
	w.t.Helper()
	w.alter(func(s *State) {
		t, _ := s.tasks.get(id)
		e := s.execOf(t)
		compiled, problems := def.CompileFragment(s.planOf(e), []byte(source))
		if compiled == nil {
			w.t.Fatalf("fragment: %v", problems)
		}
		s.fragments.insert(&fragment{id: id, source: compiled.Source, compiled: compiled})
		s.scratch.steps = MaxSteps
		r := s.enter(e)
		for _, member := range compiled.Members {
			s.make(r, nodeRef{fragment: id.Serial, node: member}, t.loop, t.iteration)
		}
		s.leave(r)
	})
	if w.a.Digest() != w.b.Digest() {
		w.t.Fatal("digests differ")
	}
}

func TestStepsAddedAtRunTimeRunToTheirEnd(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 1 // each entry on a machine restored from a snapshot
	w.define(`{"name":"l","version":1,"schemaVersion":2,"tasks":[
 {"name":"l","taskReferenceName":"l","type":"DO_WHILE","inputParameters":{"keepLastN":1},"loopCondition":"$.l['iteration'] < 2","loopOver":[
  {"name":"a","taskReferenceName":"x","type":"SIMPLE"}]}]}`)
	id := w.start("l", `{}`)
	w.bring(TaskID{Exec: id, Serial: 2}, `[
 {"name":"b","taskReferenceName":"m1","type":"SIMPLE","inputParameters":{"k":1}},
 {"name":"s","taskReferenceName":"m2","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"y"},"decisionCases":{"y":[
   {"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"b","taskReferenceName":"p","type":"SIMPLE"}],[{"name":"n","taskReferenceName":"q","type":"NOOP"}]]},
   {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["p","q"]}]}}]`)
	w.wantTable(id, "1 l IN_PROGRESS", "2 x__1 SCHEDULED", "3 m1__1 SCHEDULED", "4 m2__1 COMPLETED", "5 f__1 COMPLETED",
		"6 p__1 SCHEDULED", "7 q__1 COMPLETED", "8 j__1 IN_PROGRESS")
	l := w.mustPoll("b")
	if string(l.Input) != `{"k":1}` {
		t.Errorf("input: %s", l.Input)
	}
	w.complete(l, `{}`)
	w.must(&UpdateTask{Exec: id, Ref: "x", Status: TaskStatusCompleted})
	if e := w.execution(id); e.Tasks != 8 {
		t.Fatalf("the iteration ended before its members: %q", w.table(id))
	}
	w.complete(w.mustPoll("b"), `{"r":1}`)
	w.wantTable(id, "1 l IN_PROGRESS", "2 x__1 COMPLETED", "3 m1__1 COMPLETED", "4 m2__1 COMPLETED", "5 f__1 COMPLETED",
		"6 p__1 COMPLETED", "7 q__1 COMPLETED", "8 j__1 COMPLETED", "9 x__2 SCHEDULED")
	w.must(&UpdateTask{Exec: id, Ref: "x", Status: TaskStatusCompleted})
	w.wantTable(id, "1 l COMPLETED", "9 x__2 COMPLETED")
	if n := w.a.fragments.tree.Len(); n != 0 {
		t.Errorf("%d fragments are left of a dropped iteration", n)
	}
	if e := w.execution(id); e.Status != Completed {
		t.Errorf("got %s", e.Status)
	}
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}
