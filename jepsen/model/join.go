package model

import "strings"

// members returns the names that a JOIN waits for.
func (t *Task) joinsOn() []string {
	if t.on != nil {
		return t.on
	}
	return t.step.JoinOn
}

// closeJoins closes every JOIN that can be closed in the present state.
func (e *Exec) closeJoins() bool {
	type verdict struct {
		join           *Task
		status, reason string
		own            map[string]any
	}
	var closing []verdict
	for _, t := range e.tasks {
		if !t.Open() {
			continue
		}
		v := verdict{join: t, own: t.own}
		switch t.step.Type {
		case "JOIN":
			v.status, v.reason = e.judge(t)
		case "EXCLUSIVE_JOIN":
			v.status, v.reason, v.own = e.first(t)
		}
		if v.status != "" {
			closing = append(closing, v)
		}
	}
	for _, c := range closing {
		c.join.Status, c.join.Reason, c.join.own = c.status, c.reason, c.own
	}
	return len(closing) > 0
}

// waitsFor says whether a JOIN has a member that is not settled.
func (e *Exec) waitsFor(join *Task) bool {
	for _, ref := range join.joinsOn() {
		if t := e.last(ref, join.loop, join.Iteration); t == nil || !t.settled() {
			return true
		}
	}
	return false
}

// judge returns how a JOIN ends, or nothing while it still waits.
func (e *Exec) judge(join *Task) (status, reason string) {
	if e.waitsFor(join) {
		return "", ""
	}
	bad, canceled, soft := 0, 0, 0
	var reasons []string
	for _, ref := range join.joinsOn() {
		t := e.last(ref, join.loop, join.Iteration)
		switch {
		case !successful(t.Status):
			bad++
			reasons = append(reasons, t.Reason)
			if t.Status == "CANCELED" {
				canceled++
			}
		case t.Status == "COMPLETED_WITH_ERRORS":
			soft++
		}
	}
	switch {
	case bad == 0 && soft == 0:
		return "COMPLETED", ""
	case bad == 0:
		return "COMPLETED_WITH_ERRORS", ""
	case bad == canceled:
		return "CANCELED", strings.Join(reasons, " ")
	}
	return "FAILED", strings.Join(reasons, " ")
}

// first returns how an EXCLUSIVE_JOIN ends: as the first of its names that exists
// and was not skipped, or else as the first of its other names.
func (e *Exec) first(join *Task) (status, reason string, own map[string]any) {
	for _, names := range [][]string{join.step.JoinOn, join.step.DefaultJoin} {
		for _, ref := range names {
			t := e.last(ref, join.loop, join.Iteration)
			switch {
			case t == nil || t.Status == "SKIPPED":
				continue
			case !t.settled():
				return "", "", nil
			case successful(t.Status):
				return "COMPLETED", "", copyOf(t.output()).(map[string]any)
			}
			return "FAILED", t.Reason, join.own
		}
	}
	return "", "", nil
}
