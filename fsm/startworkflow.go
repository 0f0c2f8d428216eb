package fsm

import (
	"strings"

	"github.com/pawlhq/pawl/fsm/expr"
)

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
	var out []byte
	if failure == "" {
		out = append(expr.AppendString([]byte(`{"workflowId":`), res.Exec.String()), '}')
	}
	s.acted(t.id, out, failure)
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
	q := request{in: in, of: "StartWorkflowRequest"}
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
