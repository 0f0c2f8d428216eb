package fsm

import "fmt"

// lifeBody is the command of a line that steers an execution.
func (s *story) lifeBody(a args, out []byte) Body {
	switch a.words[0] {
	case "restart":
		return &RestartExecution{Exec: a.exec(a.word(1)), Latest: a.named["latest"] != ""}
	case "retry":
		return &RetryExecution{Exec: a.exec(a.word(1)), ResumeSubworkflows: a.named["resume"] != ""}
	case "rerun":
		c := &RerunExecution{Exec: a.exec(a.word(1)), TaskInput: []byte(a.named["input"]),
			WorkflowInput: []byte(a.named["workflow"]), Correlation: a.named["corr"]}
		if len(a.words) > 2 {
			c.Task = a.task(a.word(2))
		}
		return c
	case "skip":
		return &SkipTask{Exec: a.exec(a.word(1)), Ref: a.word(2), Input: []byte(a.named["input"]), Output: out}
	case "jump":
		return &JumpTo{Exec: a.exec(a.word(1)), Ref: a.word(2), Input: []byte(a.named["input"])}
	case "variables":
		return &SetVariables{Exec: a.exec(a.word(1)), Variables: []byte(a.word(2)), Append: a.named["append"] != ""}
	case "reset-callbacks":
		return &ResetCallbacks{Exec: a.exec(a.word(1))}
	case "decide":
		return &Decide{Exec: a.exec(a.word(1))}
	case "delete":
		return &DeleteExecution{Exec: a.exec(a.word(1)), Force: a.named["force"] != ""}
	case "bulk":
		return s.bulkBody(a)
	case "push":
		c := &PushMessage{Exec: a.exec(a.word(1))}
		if len(a.words) > 2 {
			c.Message = []byte(a.word(2))
		}
		return c
	}
	return nil
}

func (s *story) bulkBody(a args) Body {
	verbs := map[string]BulkVerb{"pause": BulkPause, "resume": BulkResume, "restart": BulkRestart, "retry": BulkRetry,
		"terminate": BulkTerminate, "delete": BulkDelete, "terminate-delete": BulkTerminateDelete,
		"rerun": BulkRerun, "skip": BulkSkip, "jump": BulkJump, "variables": BulkSetVariables, "reset-callbacks": BulkResetCallbacks,
		"decide": BulkDecide}
	c := &Bulk{Verb: verbs[a.word(1)], Reason: a.named["reason"], Latest: a.named["latest"] != "", Force: a.named["force"] != "",
		ResumeSubworkflows: a.named["resume"] != "", Append: a.named["append"] != "", Ref: a.named["ref"], Input: []byte(a.named["input"])}
	for _, name := range a.words[2:] {
		c.IDs = append(c.IDs, a.exec(name))
	}
	return c
}

// printItems tells what became of each execution of a bulk.
func (s *story) printItems(r Result) {
	for _, i := range r.Items {
		if i.Rejection != nil {
			s.out.WriteString(s.alias(fmt.Sprintf("%s %s: %s", i.Exec, i.Rejection.Code, i.Rejection.Message)) + "\n")
		} else {
			s.out.WriteString(s.alias(i.Exec.String()) + " done\n")
		}
	}
}
