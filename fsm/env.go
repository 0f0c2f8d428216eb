package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// rootEnv is what a template of an execution sees: workflow, and every step by its
// reference name. Nothing is rendered but what a path asks for.
type rootEnv struct {
	s    *State
	e    *execution
	self *task // the record whose input is made; nil for outputs
}

// Get answers workflow, CPEWF_TASK_ID or the latest record of a step.
func (v *rootEnv) Get(key string) (expr.Value, bool) {
	switch key {
	case "workflow":
		return expr.Composite(&workflowEnv{s: v.s, e: v.e}), true
	case "CPEWF_TASK_ID":
		if v.self == nil {
			return expr.Value{}, false
		}
		return quoted(v.self.id.String()), true
	}
	t, ok := v.s.latestOf(v.e, key)
	if !ok {
		return expr.Value{}, false
	}
	return expr.Composite(&taskEnv{s: v.s, e: v.e, t: t}), true
}

// Range walks workflow, then the steps by reference name.
func (v *rootEnv) Range(yield func(key string, val expr.Value) bool) {
	if w, _ := v.Get("workflow"); !yield("workflow", w) {
		return
	}
	for k := range v.s.latest.tree.From(latestKey{exec: v.e.id}) {
		if k.exec != v.e.id {
			return
		}
		if t, ok := v.Get(k.ref); ok && !yield(k.ref, t) {
			return
		}
	}
}

type workflowEnv struct {
	s *State
	e *execution
}

// workflowKeys lists the members of workflow in the order in which they are walked.
func workflowKeys() []string {
	return []string{"input", "output", "status", "workflowId", "parentWorkflowId", "parentWorkflowTaskId",
		"workflowType", "version", "correlationId", "reasonForIncompletion", "schemaVersion", "variables",
		"createTime", "idempotencyKey", "priority", "taskToDomain"}
}

// Get answers one fact of the execution.
func (v *workflowEnv) Get(key string) (expr.Value, bool) {
	e := v.e
	switch key {
	case "input":
		return v.s.dataValue(e, nil, e.input), true
	case "output":
		return v.s.dataValue(e, nil, e.output), true
	case "variables":
		return v.s.dataValue(e, nil, e.variables), true
	case "status":
		return quoted(e.status.String()), true
	case "workflowId":
		return quoted(e.id.String()), true
	case "parentWorkflowId":
		return quotedUnless(e.parent.IsZero(), e.parent.Exec.String()), true
	case "parentWorkflowTaskId":
		return quotedUnless(e.parent.IsZero(), e.parent.String()), true
	case "workflowType":
		return quoted(v.s.planOf(e).Name), true
	}
	return v.getMore(key)
}

func (v *workflowEnv) getMore(key string) (expr.Value, bool) {
	e := v.e
	switch key {
	case "version":
		return number(int64(v.s.planOf(e).Version)), true
	case "correlationId":
		return quotedUnless(e.corr == "", e.corr), true
	case "reasonForIncompletion":
		return quotedUnless(e.reason == "", e.reason), true
	case "schemaVersion":
		return number(2), true
	case "createTime":
		return number(int64(e.created)), true
	case "idempotencyKey":
		return quotedUnless(e.key_ == "", e.key_), true
	case "priority":
		return number(int64(e.priority)), true
	case "taskToDomain":
		return expr.Raw(domainsJSON(e.domains)), true
	}
	return expr.Value{}, false
}

// Range walks all facts.
func (v *workflowEnv) Range(yield func(key string, val expr.Value) bool) {
	for _, k := range workflowKeys() {
		if val, ok := v.Get(k); ok && !yield(k, val) {
			return
		}
	}
}

type taskEnv struct {
	s *State
	e *execution
	t *task
}

func taskKeys() []string {
	return []string{"input", "output", "taskType", "status", "referenceTaskName", "retryCount", "correlationId",
		"pollCount", "taskDefName", "scheduledTime", "startTime", "endTime", "workflowInstanceId", "taskId",
		"reasonForIncompletion", "callbackAfterSeconds", "workerId", "iteration"}
}

// Get answers one fact of the step's latest record.
func (v *taskEnv) Get(key string) (expr.Value, bool) {
	t := v.t
	switch key {
	case "input":
		return v.s.shownInput(v.e, t), true
	case "output":
		return v.s.dataValue(v.e, t, t.output), true
	case "taskType":
		return quoted(shownType(v.s.nodeOf(v.e, t.node))), true
	case "status":
		return quoted(effective(v.e, t).String()), true
	case "referenceTaskName":
		return quoted(visibleRef(v.s, t)), true
	case "retryCount":
		return number(int64(t.retry)), true
	case "correlationId":
		return quotedUnless(v.e.corr == "", v.e.corr), true
	case "pollCount":
		return number(int64(t.polls)), true
	case "taskDefName":
		return quoted(shownName(v.s.nodeOf(v.e, t.node))), true
	}
	return v.getMore(key)
}

func (v *taskEnv) getMore(key string) (expr.Value, bool) {
	t := v.t
	switch key {
	case "scheduledTime":
		return number(int64(t.scheduled)), true
	case "startTime":
		return number(int64(t.start)), true
	case "endTime":
		return number(int64(t.end)), true
	case "workflowInstanceId":
		return quoted(v.e.id.String()), true
	case "taskId":
		return quoted(t.id.String()), true
	case "reasonForIncompletion":
		return quotedUnless(t.reason == "", t.reason), true
	case "callbackAfterSeconds":
		return number(t.callback), true
	case "workerId":
		return quotedUnless(t.worker == "", t.worker), true
	case "iteration":
		return number(int64(shownIteration(v.s.nodeOf(v.e, t.node), t))), true
	}
	return expr.Value{}, false
}

// Range walks all facts.
func (v *taskEnv) Range(yield func(key string, val expr.Value) bool) {
	for _, k := range taskKeys() {
		if val, ok := v.Get(k); ok && !yield(k, val) {
			return
		}
	}
}

// dataValue gives a payload to walk; formulas answer member by member.
func (s *State) dataValue(e *execution, t *task, d Data) expr.Value {
	switch d.kind {
	case dataJoin:
		return expr.Composite(&joinOutput{s: s, e: e, t: s.taskAt(e, d.of)})
	case dataLoop:
		if t == nil || t.id.Serial != d.of {
			t = s.taskAt(e, d.of)
		}
		return expr.Composite(&loopOutput{s: s, e: e, t: t})
	case dataTask:
		if x, ok := s.tasks.get(TaskID{Exec: e.id, Serial: d.of}); ok {
			return s.dataValue(e, x, x.output)
		}
	}
	return expr.Raw(d.bytes())
}

// joinOutput is {member: output} for the members whose output is not empty.
type joinOutput struct {
	s *State
	e *execution
	t *task
}

func (j *joinOutput) member(number int32) (string, expr.Value, bool) {
	ref := j.s.nodeOf(j.e, j.t.node.at(number)).Ref
	x, ok := j.s.recordAt(j.e, j.t.node.at(number), j.t.loop, j.t.iteration)
	return j.output(ref, x, ok)
}

func (j *joinOutput) output(ref string, x *task, ok bool) (string, expr.Value, bool) {
	if !ok || !x.status.Terminal() || j.s.emptyOutput(j.e, x) {
		return ref, expr.Value{}, false
	}
	return ref, j.s.dataValue(j.e, x, x.output), true
}

// emptyOutput says whether a record's output has no member.
func (s *State) emptyOutput(e *execution, t *task) bool {
	switch t.output.kind {
	case dataNone:
		return true
	case dataRaw:
		return expr.Count(t.output.raw) == 0
	case dataJoin:
		for range (&joinOutput{s: s, e: e, t: t}).Range {
			return false
		}
		return true
	}
	return false
}

// Get answers the output of one member.
func (j *joinOutput) Get(key string) (expr.Value, bool) {
	if j.t.fork != 0 {
		x, ok := j.s.recordOf(j.e, key, j.t.loop, j.t.iteration)
		ok = ok && x.member != 0 && j.s.base(j.e, x.node).fragment == j.t.fork
		_, v, ok := j.output(key, x, ok)
		return v, ok
	}
	n := j.s.nodeOf(j.e, j.t.node)
	number, ok := j.s.planFor(j.e, j.t.node).ByRef[key]
	if !ok || !contains(n.JoinOn, number) {
		return expr.Value{}, false
	}
	_, v, ok := j.member(number)
	return v, ok
}

// Range walks the members in the order of the definition.
func (j *joinOutput) Range(yield func(key string, v expr.Value) bool) {
	if j.t.fork != 0 {
		m := j.s.membersOf(j.e, j.t.fork)
		for i := range m.Len() {
			if v, ok := j.Get(m.Ref(i)); ok && !yield(m.Ref(i), v) {
				return
			}
		}
		return
	}
	for _, number := range j.s.nodeOf(j.e, j.t.node).JoinOn {
		if ref, v, ok := j.member(number); ok && !yield(ref, v) {
			return
		}
	}
}

func contains(list []int32, x int32) bool {
	for _, v := range list {
		if v == x {
			return true
		}
	}
	return false
}

func quoted(text string) expr.Value { return expr.Raw(expr.AppendString(nil, text)) }

func quotedUnless(absent bool, text string) expr.Value {
	if absent {
		return expr.Raw([]byte("null"))
	}
	return quoted(text)
}

func number(n int64) expr.Value { return expr.Raw(appendInt(nil, n)) }

func domainsJSON(ds []Domain) []byte {
	b := []byte{'{'}
	for i, d := range ds {
		if i > 0 {
			b = append(b, ',')
		}
		b = expr.AppendString(b, d.Type)
		b = append(b, ':')
		b = expr.AppendString(b, d.Domain)
	}
	return append(b, '}')
}

// visibleRef is a record's reference name as clients see it: with the iterations of
// the loops around it, outermost first.
func visibleRef(s *State, t *task) string {
	if t.loop == 0 {
		return t.ref
	}
	suffix := ""
	for depth := 0; t.loop != 0 && depth < maxInline; depth++ {
		suffix = join("__", itoa(int64(t.iteration)), suffix)
		outer, ok := s.tasks.get(TaskID{Exec: t.id.Exec, Serial: t.loop})
		if !ok {
			break
		}
		if outer.loop == 0 {
			return join(t.ref, suffix)
		}
		t = &task{id: outer.id, ref: t.ref, loop: outer.loop, iteration: outer.iteration}
	}
	return join(t.ref, suffix)
}

// effective is a record's status as every reader sees it: what is open in an
// execution that has ended is canceled, whether or not the sweep has come to it.
func effective(e *execution, t *task) TaskStatus {
	if t.open() && e.over(t) {
		return TaskStatusCanceled
	}
	return t.status
}

// shownIteration is the round that a record belongs to. A loop shows the one it is in.
func shownIteration(n *def.Node, t *task) uint32 {
	if n.Kind == def.DoWhile {
		return t.loops.cur
	}
	return t.iteration
}

func shownType(n *def.Node) string {
	switch n.Kind {
	case def.Worker:
		if n.Type == "SIMPLE" {
			return n.Name
		}
	case def.Fork, def.DynamicFork:
		return "FORK"
	}
	return n.Type
}

func shownName(n *def.Node) string {
	if n.Kind == def.Fork || n.Kind == def.DynamicFork {
		return "FORK"
	}
	return n.Name
}
