package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// MaxDepth bounds how deep executions start executions.
const MaxDepth = 64

// startChild starts the execution that a SUB_WORKFLOW step names. Its own first pass
// follows as an item of its own, so that a tree never recurses.
func (s *State) startChild(r *run, t *task, n *def.Node) {
	p, args, failure := s.childArgs(r, t, n)
	if failure != "" {
		s.failInline(r, t, TaskStatusFailed, failure)
		return
	}
	x := execution{
		input: args.input, parent: t.id, corr: r.e.corr, priority: args.priority,
		domains: args.domains, createdBy: r.e.createdBy, depth: r.e.depth + 1,
	}
	if why := s.refusedByQuota(p, x); why != "" {
		s.failInline(r, t, TaskStatusFailed, why)
		return
	}
	t = s.tasks.mut(t)
	t.input = raw(args.shown)
	c := s.addExecution(p, x)
	t.child = c.id
	t.status, t.start = TaskStatusInProgress, s.now
	t.output = raw(childOutput(c.id))
	s.waits.put(t.id, none{})
	s.scratch.soon = append(s.scratch.soon, item{kind: itemBegin, exec: c.id})
}

func childOutput(id ExecID) []byte {
	return append(expr.AppendString([]byte(`{"subWorkflowId":`), id.String()), '}')
}

type childArgs struct {
	input    Data
	shown    []byte // what the record shows as its input
	priority int32
	domains  []Domain
}

// childArgs resolves name, version and input of a child.
func (s *State) childArgs(r *run, t *task, n *def.Node) (*plan, childArgs, string) {
	var a childArgs
	if r.e.depth+1 >= MaxDepth {
		return nil, a, "sub-workflows are nested too deeply"
	}
	name, err := s.evaluate(r.e, t, n.SubName)
	text, _ := expr.Unquote(name)
	version, err2 := s.evaluateInt(r.e, t, n.SubVersion)
	priority, err3 := s.evaluateInt(r.e, t, n.SubPriority)
	if err != nil || err2 != nil || err3 != nil || text == "" {
		return nil, a, "sub-workflow: name, version or priority cannot be evaluated"
	}
	d, ok := s.lookup(text, int32(max(0, min(version, 1<<31-1))))
	if !ok {
		return nil, a, noDefinition(text, int32(max(0, min(version, 1<<31-1))))
	}
	p, _ := s.plans.get(d.plan)
	a.priority = int32(max(0, min(priority, MaxPriority)))
	a.domains = r.e.domains
	domains, err := s.evaluate(r.e, t, n.SubDomainsExpr)
	if err != nil {
		return nil, a, "sub-workflow: its domains cannot be evaluated"
	}
	if len(domains) > 0 {
		a.domains = domainsOf(domains)
	}
	a.input = childInput(t.input)
	a.shown = shownChild(text, d.version, domains, a.priority, a.input.bytes())
	if expr.Count(a.input.bytes()) == 0 {
		a.input = raw(a.shown) // what Conductor passes when a child gets no input
	}
	return p, a, ""
}

func (s *State) evaluateInt(e *execution, t *task, tmpl *expr.Template) (int64, error) {
	v, err := s.evaluate(e, t, tmpl)
	if err != nil || len(v) == 0 {
		return 0, err
	}
	if text, ok := expr.Unquote(v); ok {
		v = []byte(text)
	}
	n, _ := atoi(v)
	return n, nil
}

func shownChild(name string, version int32, domains []byte, priority int32, input []byte) []byte {
	b := expr.AppendString([]byte(`{"subWorkflowName":`), name)
	b = appendInt(append(b, `,"subWorkflowVersion":`...), int64(version))
	if len(domains) > 0 {
		b = append(append(b, `,"subWorkflowTaskToDomain":`...), domains...)
	}
	b = appendInt(append(b, `,"priority":`...), int64(priority))
	b = append(append(b, `,"workflowInput":`...), input...)
	return append(b, '}')
}

// reportParent tells the SUB_WORKFLOW record how its child ended. A record that is
// gone, closed, or has another child by now is not told.
func (s *State) reportParent(c *execution) {
	t, ok := s.findTask(c.parent)
	if !ok || t.child != c.id || !c.status.Terminal() {
		return
	}
	e := s.execOf(t)
	if e.over(t) {
		return
	}
	r := s.enter(e)
	t = s.tasks.mut(t)
	if out := s.render(c, c.output); expr.Count(out) > 0 && len(out) <= MaxPayload {
		t.output = raw(expr.Merge(t.output.bytes(), out))
	}
	status, reason := TaskStatusCompleted, ""
	if c.status != Completed {
		p := s.planOf(c)
		reason = join("Sub workflow ", p.Name, ".", itoa(int64(p.Version)), "/", c.id.String(), " failure reason: ", c.reason)
		status = childFailure(c.status)
	}
	t = s.closeTask(r, t, status, reason)
	s.emitTask(reportKind(status), t)
	s.leave(r)
}

func childFailure(s Status) TaskStatus {
	switch s {
	case TimedOut:
		return TaskStatusTimedOut
	case Terminated:
		return TaskStatusCanceled
	}
	return TaskStatusFailed
}

func reportKind(s TaskStatus) EventKind {
	switch s {
	case TaskStatusCompleted:
		return TaskCompleted
	case TaskStatusTimedOut:
		return TaskTimedOut
	case TaskStatusCanceled:
		return TaskCanceled
	}
	return TaskFailed
}

// render gives a payload as JSON, formulas included.
func (s *State) render(e *execution, d Data) []byte {
	if d.kind <= dataRaw {
		return d.bytes()
	}
	return s.dataValue(e, nil, d).AppendJSON(nil)
}
