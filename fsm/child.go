package fsm

import (
	"bytes"

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
	x := &execution{
		input: args.input, parent: t.id, corr: r.e.corr, priority: args.priority,
		domains: args.domains, createdBy: r.e.createdBy, depth: r.e.depth + 1, key_: args.key,
	}
	if why := s.refusedByQuota(p, x); why != "" {
		s.failInline(r, t, TaskStatusFailed, why)
		return
	}
	t = s.tasks.mut(t)
	t.input = raw(args.shown)
	c := s.addExecution(p, x)
	if args.key != "" {
		s.keys.put(startKey{name: p.compiled.Name, key: args.key}, c.id)
	}
	t.child = c.id
	t.status, t.start = TaskStatusInProgress, s.now
	t.output = raw(childOutput(c.id))
	s.waits.put(t.id, none{})
	s.arm(t) // its time begins now
	s.tell(def.OnStart, t)
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
	key      string // idempotency key
}

// childArgs resolves definition and input of a child.
func (s *State) childArgs(r *run, t *task, n *def.Node) (*plan, childArgs, string) {
	var a childArgs
	if r.e.depth+1 >= MaxDepth {
		return nil, a, "sub-workflows are nested too deeply"
	}
	p, dynamic, failure := s.childPlan(r.e, t, n)
	if failure != "" {
		return nil, a, failure
	}
	priority, err := s.evaluateInt(r.e, t, n.SubPriority)
	domains, err2 := s.evaluate(r.e, t, n.SubDomainsExpr)
	if err != nil || err2 != nil {
		return nil, a, "sub-workflow: its priority or domains cannot be evaluated"
	}
	a.priority = int32(max(0, min(priority, MaxPriority)))
	a.domains = r.e.domains
	if len(domains) > 0 {
		a.domains = domainsOf(domains)
	}
	strategy, failure := s.childKey(r.e, t, n, p, &a)
	if failure != "" {
		return nil, a, failure
	}
	a.input = childInput(t.input)
	a.shown = shownChild(p.compiled, dynamic, domains, &a, strategy)
	if expr.Count(a.input.bytes()) == 0 {
		a.input = raw(a.shown) // what Conductor passes when a child gets no input
	}
	if dynamic != nil {
		a.input = raw(expr.SetKey(a.input.bytes(), "_systemMetadata", []byte(`{"dynamic":true}`)))
	}
	return p, a, ""
}

// childPlan finds what a child runs: the definition that the step brings along, whose
// source is then given too, or a registered one.
func (s *State) childPlan(e *execution, t *task, n *def.Node) (p *plan, dynamic []byte, failure string) {
	dynamic = n.SubInline
	if n.SubDefinition != nil {
		source, err := s.evaluate(e, t, n.SubDefinition)
		if err != nil || expr.KindOf(source) != expr.Map {
			return nil, nil, "sub-workflow: its workflowDefinition is no object"
		}
		dynamic = source
	}
	if dynamic != nil {
		p, failure = s.planOfSource(dynamic)
		return p, dynamic, failure
	}
	name, err := s.evaluate(e, t, n.SubName)
	text, _ := expr.Unquote(name)
	version, err2 := s.evaluateInt(e, t, n.SubVersion)
	if err != nil || err2 != nil || text == "" {
		return nil, nil, "sub-workflow: its name or version cannot be evaluated"
	}
	v := int32(max(0, min(version, 1<<31-1)))
	d, ok := s.lookup(text, v)
	if !ok {
		return nil, nil, noDefinition(text, v)
	}
	p, _ = s.plans.get(d.plan)
	return p, nil, ""
}

// compileUnit is the number of bytes of a definition that count as one unit.
const compileUnit = 1 << 10

// planOfSource gives the plan of a definition that is not registered. One that many
// children bring along is compiled once while any of them is there.
func (s *State) planOfSource(source []byte) (*plan, string) {
	if p, ok := s.plans.get(s.planIDs[rowHash(source)]); ok && bytes.Equal(p.source.raw, source) {
		return p, ""
	}
	s.spend(1 + len(source)/compileUnit)
	compiled, problems := def.CompileSub(source)
	if compiled == nil {
		return nil, join("sub-workflow: its workflowDefinition is not valid: ", problems[0].Path, ": ", problems[0].Message)
	}
	return s.intern(compiled), ""
}

// childKey gives the strategy of a child with an idempotency key, and refuses the start
// when the key is taken by an execution that this one did not start.
func (s *State) childKey(e *execution, t *task, n *def.Node, p *plan, a *childArgs) (strategy, failure string) {
	key, err := s.evaluate(e, t, n.SubKey)
	name, err2 := s.evaluate(e, t, n.SubStrategy)
	a.key, _ = expr.Unquote(key)
	strategy, _ = expr.Unquote(name)
	st, known := parseStrategy(strategy)
	switch {
	case err != nil || err2 != nil || !known || len(a.key) > MaxName:
		return "", "sub-workflow: its idempotency key or strategy cannot be used"
	case a.key == "":
		return strategy, ""
	}
	old, taken := s.keys.get(startKey{name: p.compiled.Name, key: a.key})
	if !taken || old == e.id {
		return strategy, ""
	}
	x, ok := s.executions.get(old)
	if !ok || x.parent.Exec == e.id || st == FailOnRunning && x.status.Terminal() {
		return strategy, ""
	}
	return "", join("sub-workflow: an execution with this idempotency key exists: ", old.String())
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

// maxShownDefinition bounds the definition that a record shows of its child.
const maxShownDefinition = 64 << 10

func shownChild(p *def.Plan, dynamic, domains []byte, a *childArgs, strategy string) []byte {
	b := expr.AppendString([]byte(`{"subWorkflowName":`), p.Name)
	b = appendInt(append(b, `,"subWorkflowVersion":`...), int64(p.Version))
	if len(domains) > 0 {
		b = append(append(b, `,"subWorkflowTaskToDomain":`...), domains...)
	}
	if dynamic != nil && len(dynamic) <= maxShownDefinition {
		b = append(append(b, `,"subWorkflowDefinition":`...), dynamic...)
	}
	b = appendInt(append(b, `,"priority":`...), int64(a.priority))
	if a.key != "" {
		b = expr.AppendString(append(b, `,"idempotencyKey":`...), a.key)
	}
	if strategy != "" {
		b = expr.AppendString(append(b, `,"idempotencyStrategy":`...), strategy)
	}
	b = append(append(b, `,"workflowInput":`...), a.input.bytes()...)
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
	status, reason := TaskStatusCompleted, ""
	if tooLarge := s.takeOutput(t, c); tooLarge != "" {
		status, reason = TaskStatusFailedTerminal, tooLarge
	}
	if c.status != Completed {
		p := s.planOf(c)
		reason = join("Sub workflow ", p.Name, ".", itoa(int64(p.Version)), "/", c.id.String(), " failure reason: ", c.reason)
		status = childFailure(c.status)
	}
	t = s.closeTask(r, t, status, reason)
	s.emitTask(reportKind(status), t)
	s.leave(r)
}

// takeOutput merges the output of a child that has ended into its record's, and says
// why that cannot be; then the child alone has it.
func (s *State) takeOutput(t *task, c *execution) (tooLarge string) {
	out, err := s.renderWithin(c, c.output)
	if err == nil && expr.Count(out) > 0 {
		out = expr.Merge(t.output.bytes(), out)
	}
	switch {
	case err != nil || len(out) > MaxPayload:
		return payloadTooLarge(t, len(out))
	case expr.Count(out) > 0:
		t.output = raw(out)
	}
	return ""
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

// renderWithin is render for what the machine makes into something else: ErrBudget, and
// as much as was rendered, when a formula takes more than any payload may.
func (s *State) renderWithin(e *execution, d Data) ([]byte, error) {
	if d.kind <= dataRaw {
		return d.bytes(), nil
	}
	return s.dataValue(e, nil, d).AppendWithin(nil, &expr.Budget{Steps: maxJobSteps})
}

// render gives a payload as JSON, formulas included, whatever its size: for readers.
func (s *State) render(e *execution, d Data) []byte {
	if d.kind <= dataRaw {
		return d.bytes()
	}
	return s.dataValue(e, nil, d).AppendJSON(nil)
}
