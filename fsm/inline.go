package fsm

import (
	"errors"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// inline is what an INLINE or LAMBDA evaluates. It stands in the input, where
// expressions may have made it, so it is read when the record begins.
type inline struct {
	by      def.Evaluator
	source  string
	failure string // what is wrong with it
	status  TaskStatus
}

func inlineOf(t *task, n *def.Node) inline {
	in := inline{by: def.JavaScript, status: TaskStatusFailedTerminal}
	if n.Kind == def.Lambda {
		in.status = TaskStatusFailed
		if in.source, _ = textInput(t, "scriptExpression"); blank(in.source) {
			in.failure = "Empty 'scriptExpression' in Lambda task's input parameters. A non-empty String value must be provided."
		}
		return in
	}
	if v, ok := expr.Get(t.input.bytes(), "evaluatorType"); ok && expr.KindOf(v) != expr.Null {
		name, _ := expr.Unquote(v)
		if blank(name) {
			in.failure = "Empty 'evaluatorType' in INLINE task's input parameters. A non-empty String value must be provided."
			return in
		}
		if in.by = def.ParseEvaluator(name); in.by == def.NoEvaluator {
			in.failure = join("Unknown evaluator '", cut(name), "' in INLINE task.")
			return in
		}
	}
	if in.source, _ = textInput(t, "expression"); blank(in.source) {
		in.failure = "Empty 'expression' in Inline task's input parameters. A non-empty String value must be provided."
	}
	return in
}

func blank(text string) bool {
	for i := range len(text) {
		switch text[i] {
		case ' ', '\t', '\n', '\r':
		default:
			return false
		}
	}
	return true
}

// beginInline evaluates an INLINE or LAMBDA here if it can, else by a job.
func (s *State) beginInline(r *run, t *task, n *def.Node) {
	in := inlineOf(t, n)
	switch {
	case in.failure != "":
		s.failScript(r, t, in.status, in.failure)
		return
	case in.by == def.ByParam:
		v, ok := expr.Get(t.input.bytes(), in.source)
		if !ok {
			v = []byte("null")
		}
		s.completeResult(r, t, v)
		return
	case in.by == def.JavaScript:
		result, err := s.evaluateInline(t, n, in.source)
		var thrown *expr.ScriptError
		switch {
		case err == nil:
			s.completeResult(r, t, result.AppendJSON(nil))
			return
		case errors.As(err, &thrown):
			s.answerInline(r, t, n, threw(thrown))
			return
		}
	}
	s.beginJob(t, jobScript)
}

// evaluateInline evaluates a source of the subset. Other errors than a *ScriptError
// mean that it takes a real engine.
func (s *State) evaluateInline(t *task, n *def.Node, source string) (expr.Result, error) {
	parse := expr.ParseScript
	if n.Kind == def.Lambda {
		parse = expr.ParseFunction
	}
	s.spend(len(source) / 1024)
	script, err := parse(source)
	if err != nil {
		return expr.Result{}, err
	}
	budget := expr.Budget{Steps: expr.MaxEvalSteps}
	result, err := script.Eval(expr.Raw(t.input.bytes()), &budget)
	s.spend((expr.MaxEvalSteps - budget.Steps) / 1024)
	return result, err
}

// beginJq asks for what a jq program makes of the record's input.
func (s *State) beginJq(r *run, t *task) {
	if _, ok := textInput(t, "queryExpression"); !ok {
		s.failScript(r, t, TaskStatusFailed, "Missing 'queryExpression' in input parameters")
		return
	}
	s.beginJob(t, jobJq)
}

func (s *State) completeResult(r *run, t *task, result []byte) {
	out := append(append([]byte(`{"result":`), result...), '}')
	if len(out) > MaxPayload {
		s.failInline(r, t, TaskStatusFailedTerminal, payloadTooLarge(t, len(out)))
		return
	}
	s.completeInline(r, t, out)
}

func payloadTooLarge(t *task, size int) string {
	return join("The payload size: ", itoa(int64(size)), " of task: ", t.id.String(), " in workflow: ", t.id.Exec.String(),
		"  is greater than the permissible limit: ", itoa(MaxPayload), " bytes")
}

// failScript ends a record by an error that its output shows too.
func (s *State) failScript(r *run, t *task, status TaskStatus, message string) {
	t = s.tasks.mut(t)
	t.output = raw(append(expr.AppendString([]byte(`{"error":`), message), '}'))
	s.failInline(r, t, status, message)
}

// answerInline ends an INLINE, LAMBDA or JSON_JQ_TRANSFORM.
func (s *State) answerInline(r *run, t *task, n *def.Node, a finding) {
	isList := expr.KindOf(a.result) == expr.Array
	switch {
	case n.Kind == def.Jq && a.failure == JobDone && !isList:
		s.failScript(r, t, TaskStatusFailed, "the program gave no list of results")
	case n.Kind == def.Jq && a.failure == JobDone:
		one, ok := expr.Index(a.result, 0)
		if !ok {
			one = []byte("null")
		}
		out := append(append([]byte(`{"result":`), one...), `,"resultList":`...)
		s.completeInline(r, t, append(append(out, a.result...), '}'))
	case n.Kind == def.Jq:
		s.failScript(r, t, TaskStatusFailed, a.text())
	case a.failure == JobDone:
		s.completeResult(r, t, a.result)
	case n.Kind == def.Inline && (a.failure == JobThrew || a.failure == JobMalformed):
		s.failScript(r, t, TaskStatusFailedTerminal, a.scriptError())
	default:
		s.failScript(r, t, TaskStatusFailed, a.scriptError())
	}
}
