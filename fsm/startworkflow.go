package fsm

import (
	"slices"
	"strings"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// actMore does one quantum of what a step does by an item of its own.
func (s *State) actMore(e *execution, i item) (again bool) {
	t, ok := s.tasks.get(TaskID{Exec: e.id, Serial: i.serial})
	if !ok || e.over(t) {
		return false
	}
	if e.status == Paused { // it begins nothing
		s.held.put(heldKey{exec: e.id, list: heldExpand, serial: i.serial}, none{})
		return false
	}
	s.spend(1)
	s.startByTask(e, t)
	return false
}

// unfinished is the item that goes on with a record of heldExpand.
func (s *State) unfinished(e *execution, serial uint32) itemKind {
	if t, ok := s.tasks.get(TaskID{Exec: e.id, Serial: serial}); ok && s.nodeOf(e, t.node).Kind == def.StartWorkflow {
		return itemStart
	}
	return itemExpand
}

// startByTask starts the execution that a START_WORKFLOW record asks for. It is no
// child: nothing is heard of it.
func (s *State) startByTask(e *execution, t *task) {
	c, failure := startRequest(e, t)
	var res Result
	if failure == "" {
		var rej *Rejection
		if res, rej = s.startAsked(c); rej != nil {
			failure = rej.Error()
			for _, p := range rej.Problems {
				failure = join(failure, "; ", p.Path, ": ", p.Message)
			}
		}
	}
	r := s.enter(s.execOf(t))
	t = s.tasks.mut(s.taskAt(r.e, t.id.Serial))
	t.start = s.now
	if failure != "" {
		s.failInline(r, t, TaskStatusFailed, failure)
	} else {
		s.completeInline(r, t, append(expr.AppendString([]byte(`{"workflowId":`), res.Exec.String()), '}'))
	}
	s.leave(r)
}

// startRequest reads the request of a START_WORKFLOW record. Correlation id and domains
// are those of its execution when it gives none.
func startRequest(e *execution, t *task) (c *StartExecution, failure string) {
	in, ok := expr.Get(t.input.bytes(), "startWorkflow")
	if !ok || expr.KindOf(in) == expr.Null {
		return nil, "Missing 'startWorkflow' in input data."
	}
	if expr.KindOf(in) != expr.Map {
		return nil, "Error reading StartWorkflowRequest. It must be an object"
	}
	q := request{in: in}
	c = &StartExecution{
		Name: q.text("name"), Version: q.int32("version"), Correlation: q.text("correlationId"), Priority: q.int32("priority"),
		Key: q.text("idempotencyKey"), CreatedBy: e.createdBy, Event: q.text("event"), Domains: e.domains,
		Definition: q.object("workflowDef"), Input: q.object("input"),
	}
	if by := q.text("createdBy"); by != "" {
		c.CreatedBy = by
	}
	if c.Correlation == "" {
		c.Correlation = e.corr
	}
	if domains := q.object("taskToDomain"); expr.Count(domains) > 0 {
		c.Domains = domainsOf(domains)
	}
	strategy, known := parseStrategy(q.text("idempotencyStrategy"))
	c.Strategy = strategy
	if !known {
		q.wrong("idempotencyStrategy")
	}
	switch {
	case q.failure != "":
		return nil, q.failure
	case c.Name == "" && len(c.Definition) == 0:
		return nil, "startWorkflow validation failed. 'name' -> Workflow name cannot be null or empty. "
	}
	if rej := c.validate(); rej != nil {
		field, what, _ := strings.Cut(rej.Message, ": ")
		return nil, join("startWorkflow validation failed. '", field, "' -> ", what, ". ")
	}
	return c, ""
}

// request reads the fields of an object that a step's input holds; the first of a wrong
// sort is what it fails with.
type request struct {
	in      []byte
	failure string
}

func (q *request) wrong(field string) {
	if q.failure == "" {
		q.failure = join("Error reading StartWorkflowRequest. The value of '", field, "' is not one that it may have")
	}
}

func (q *request) get(field string) ([]byte, bool) {
	v, ok := expr.Get(q.in, field)
	return v, ok && expr.KindOf(v) != expr.Null
}

func (q *request) text(field string) string {
	v, ok := q.get(field)
	if !ok {
		return ""
	}
	switch expr.KindOf(v) {
	case expr.String:
		text, _ := expr.Unquote(v)
		return text
	case expr.Number, expr.Bool:
		return string(v)
	}
	q.wrong(field)
	return ""
}

func (q *request) int32(field string) int32 {
	text := q.text(field)
	n, ok := atoi([]byte(text))
	if text != "" && (!ok || n != int64(int32(n))) {
		q.wrong(field)
		return 0
	}
	return int32(n)
}

func (q *request) object(field string) []byte {
	v, ok := q.get(field)
	if ok && expr.KindOf(v) != expr.Map {
		q.wrong(field)
		return nil
	}
	if !ok {
		return nil
	}
	return slices.Clone(v) // a part of a payload must not keep the whole of it
}

func parseStrategy(name string) (Strategy, bool) {
	switch name {
	case "", "FAIL":
		return FailExisting, true
	case "RETURN_EXISTING":
		return ReturnExisting, true
	case "FAIL_ON_RUNNING":
		return FailOnRunning, true
	}
	return FailExisting, false
}
