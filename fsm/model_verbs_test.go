package fsm_test

import (
	"fmt"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/jepsen/model"
)

// verb does to a random execution what a person may ask for, allowed or not.
func (p *pair) verb() (string, error) {
	all := p.known()
	if len(all) == 0 {
		return "nothing is left", nil
	}
	e := all[p.r.IntN(len(all))]
	defer p.watch(e)()
	switch x := p.r.IntN(100); {
	case e.Status == "PAUSED" && x < 70:
		return p.verbOn(e, "resume")
	case e.Ended() && x < 80:
		return p.verbOn(e, []string{"restart", "retry", "retry", "resume-below", "rerun", "rerun-from", "rerun-from", "rerun-from"}[p.r.IntN(8)])
	case e.Ended():
		return p.verbOn(e, modelVerbs[p.r.IntN(len(modelVerbs))])
	}
	return p.verbOn(e, []string{"pause", "pause", "signal", "signal", "terminate", "skip", "jump", "variables", "callbacks",
		modelVerbs[p.r.IntN(len(modelVerbs))]}[p.r.IntN(10)])
}

var modelVerbs = []string{
	"pause", "resume", "signal", "terminate", "restart", "retry", "resume-below", "rerun", "rerun-from",
	"skip", "jump", "variables", "callbacks", "update-ref", "decide", "delete",
}

// watch has the status of an execution compared right after the entry of a verb,
// when work behind it may still be left: who ended has ended for everybody, and who
// lives again too.
func (p *pair) watch(e *model.Exec) (done func()) {
	p.after = func(v fsm.View) {
		got, ok := v.Execution(p.execs[e.Key()])
		if ok && e.Ended() && !got.Status.Terminal() && e.Status == "TERMINATED" {
			p.fault = fmt.Errorf("execution %s is %v while it is being terminated", e.Key(), got.Status)
		}
		if ok && !e.Ended() && got.Status.Terminal() {
			p.fault = fmt.Errorf("execution %s is %v while it is being revived: %s\nmachine\n  %s\nmodel\n%s", e.Key(), got.Status, got.Reason, p.lines(v, e), e)
		}
		p.after = nil
	}
	return func() { p.after = nil }
}

func (p *pair) verbOn(e *model.Exec, verb string) (string, error) {
	w, id, what := p.world, p.execs[e.Key()], verb+" "+e.Key()
	switch verb {
	case "pause":
		return what, p.both(w.Pause(e), &fsm.PauseExecution{Exec: id})
	case "resume":
		return what, p.both(w.Resume(e), &fsm.ResumeExecution{Exec: id})
	case "signal":
		output := p.output()
		return what, p.both(w.Signal(e, output), &fsm.Signal{Exec: id, Output: output})
	case "terminate":
		failure := p.r.IntN(2) == 0
		return what, p.both(w.Terminate(e, "enough", failure), &fsm.TerminateExecution{Exec: id, Reason: "enough", TriggerFailureWorkflow: failure})
	case "restart":
		latest := p.r.IntN(2) == 0
		return what, p.both(w.Restart(e, latest), &fsm.RestartExecution{Exec: id, Latest: latest})
	case "retry", "resume-below":
		below := verb != "retry"
		return what, p.both(w.Retry(e, below), &fsm.RetryExecution{Exec: id, ResumeSubworkflows: below})
	case "rerun":
		var input []byte
		if p.r.IntN(3) == 0 {
			input = []byte(`{"n":2,"s":"b","list":[]}`)
		}
		return what, p.both(w.Rerun(e, "", input), &fsm.RerunExecution{Exec: id, WorkflowInput: input})
	case "rerun-from":
		return p.rerunFrom(e)
	case "variables":
		return what, p.both(w.SetVariables(e, []byte(`{"v":3,"new":[1]}`)), &fsm.SetVariables{Exec: id, Variables: []byte(`{"v":3,"new":[1]}`)})
	case "callbacks":
		return what, p.both(w.ResetCallbacks(e), &fsm.ResetCallbacks{Exec: id})
	case "decide":
		p.apply(&fsm.Decide{Exec: id})
		return what, nil
	case "delete":
		if p.r.IntN(4) > 0 {
			return what, nil // seldom: there is nothing left to look at
		}
		return what, p.both(w.Delete(e), &fsm.DeleteExecution{Exec: id, Force: true})
	}
	return p.verbAtStep(e, verb)
}

// rerunFrom runs again from a record of an execution or of one below it.
func (p *pair) rerunFrom(e *model.Exec) (string, error) {
	below := e.All()
	from := below[p.r.IntN(len(below))]
	if p.r.IntN(2) == 0 {
		from = e
	}
	if len(from.Tasks()) == 0 || p.execs[from.Key()].IsZero() {
		return "rerun-from", nil
	}
	t := from.Tasks()[p.r.IntN(len(from.Tasks()))]
	var input []byte
	if p.r.IntN(4) == 0 && t.Kind() == "SIMPLE" {
		input = []byte(`{"again":true}`)
	}
	return fmt.Sprintf("rerun-from %s of %s", t.Key(), e.Key()), p.both(p.world.Rerun(e, t.Key(), input),
		&fsm.RerunExecution{Exec: p.execs[e.Key()], Task: p.tasks[t.Key()], TaskInput: input})
}

// verbAtStep does a verb that names a step.
func (p *pair) verbAtStep(e *model.Exec, verb string) (string, error) {
	refs := e.Refs()
	if verb == "jump" {
		refs = e.MainLine()
	}
	if len(refs) == 0 {
		return verb, nil
	}
	ref := refs[p.r.IntN(len(refs))]
	w, id, what := p.world, p.execs[e.Key()], verb+" "+e.Key()+" "+ref
	output := p.output()
	switch verb {
	case "skip":
		return what, p.both(w.Skip(e, ref, output), &fsm.SkipTask{Exec: id, Ref: ref, Output: output})
	case "jump":
		return what, p.both(w.Jump(e, ref, nil), &fsm.JumpTo{Exec: id, Ref: ref})
	case "update-ref":
		return what, p.both(w.CompleteRef(e, ref, output), &fsm.UpdateTask{Exec: id, Ref: ref, Status: fsm.TaskStatusCompleted, Output: output})
	}
	return verb, nil
}
