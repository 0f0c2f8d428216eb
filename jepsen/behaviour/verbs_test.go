package behaviour

import "github.com/pawlhq/pawl/fsm"

// The verbs as the tests ask for them.

func restart(r *run, latest bool) fsm.Body {
	return &fsm.RestartExecution{Exec: r.id, Latest: latest}
}

func retry(r *run, resume bool) fsm.Body {
	return &fsm.RetryExecution{Exec: r.id, ResumeSubworkflows: resume}
}

func rerun(r *run) fsm.Body { return &fsm.RerunExecution{Exec: r.id} }

func rerunFrom(r *run, at fsm.TaskID, input any) fsm.Body {
	return &fsm.RerunExecution{Exec: r.id, Task: at, TaskInput: js(input)}
}

func skip(r *run, ref string, input, output any) fsm.Body {
	return &fsm.SkipTask{Exec: r.id, Ref: ref, Input: js(input), Output: js(output)}
}

func decide(r *run) fsm.Body { return &fsm.Decide{Exec: r.id} }

func remove(r *run) fsm.Body { return &fsm.DeleteExecution{Exec: r.id, Force: true} }
