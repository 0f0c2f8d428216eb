package fsm

import (
	"strings"

	"github.com/pawlhq/pawl/fsm/expr"
)

// fieldKind says how values of a field compare.
type fieldKind uint8

const (
	fieldText     fieldKind = iota // byte by byte
	fieldNumber                    // also times, in milliseconds since 1970
	fieldList                      // of texts: one that fits is enough
	fieldDocument                  // long text: what equals it is a phrase in it
)

// field names what a search can ask for.
type field uint8

// The fields of executions and tasks.
const (
	fieldNone field = iota
	fieldWorkflowID
	fieldWorkflowType
	fieldCorrelation
	fieldStatus
	fieldStart
	fieldEnd
	fieldUpdate
	fieldInput
	fieldOutput
	fieldReason
	fieldExecutionTime
	fieldVersion
	fieldEvent
	fieldFailedRefs
	fieldFailedNames
	fieldPriority
	fieldCreatedBy
	fieldKey
	fieldParent
	fieldClassifier
	fieldTaskID
	fieldTaskType
	fieldTaskName
	fieldTaskRef
	fieldScheduled
	fieldQueueWait
	fieldDomain
)

// named is a field as queries write it.
type named struct {
	name  string
	field field
	kind  fieldKind
}

// executionFields are what executions are searched by.
var executionFields = []named{
	{"workflowId", fieldWorkflowID, fieldText}, {"workflowType", fieldWorkflowType, fieldText},
	{"version", fieldVersion, fieldNumber}, {"correlationId", fieldCorrelation, fieldText},
	{"status", fieldStatus, fieldText}, {"startTime", fieldStart, fieldNumber}, {"endTime", fieldEnd, fieldNumber},
	{"updateTime", fieldUpdate, fieldNumber}, {"modifiedTime", fieldUpdate, fieldNumber},
	{"input", fieldInput, fieldDocument}, {"output", fieldOutput, fieldDocument},
	{"reasonForIncompletion", fieldReason, fieldDocument}, {"executionTime", fieldExecutionTime, fieldNumber},
	{"event", fieldEvent, fieldText}, {"failedReferenceTaskNames", fieldFailedRefs, fieldList},
	{"failedTaskNames", fieldFailedNames, fieldList}, {"priority", fieldPriority, fieldNumber},
	{"createdBy", fieldCreatedBy, fieldText}, {"idempotencyKey", fieldKey, fieldText},
	{"parentWorkflowId", fieldParent, fieldText}, {"classifier", fieldClassifier, fieldText},
}

// taskFields are what tasks are searched by.
var taskFields = []named{
	{"taskId", fieldTaskID, fieldText}, {"taskType", fieldTaskType, fieldText}, {"taskDefName", fieldTaskName, fieldText},
	{"taskReferenceName", fieldTaskRef, fieldText}, {"workflowId", fieldWorkflowID, fieldText},
	{"workflowType", fieldWorkflowType, fieldText}, {"correlationId", fieldCorrelation, fieldText},
	{"status", fieldStatus, fieldText}, {"scheduledTime", fieldScheduled, fieldNumber}, {"startTime", fieldStart, fieldNumber},
	{"updateTime", fieldUpdate, fieldNumber}, {"endTime", fieldEnd, fieldNumber},
	{"reasonForIncompletion", fieldReason, fieldDocument}, {"executionTime", fieldExecutionTime, fieldNumber},
	{"queueWaitTime", fieldQueueWait, fieldNumber}, {"input", fieldInput, fieldDocument},
	{"output", fieldOutput, fieldDocument}, {"domain", fieldDomain, fieldText},
}

func findField(fields []named, name string) (named, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return named{}, false
}

func fieldNames(fields []named) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// value is what a record has in a field. Null fields have none.
type value struct {
	null bool
	text string
	num  int64
	list []string
}

func textValue(s string) value { return value{text: s, null: s == ""} }

func timeValue(t Millis) value { return value{num: int64(t), null: t == 0} }

func listValue(l []string) value { return value{list: l, null: len(l) == 0} }

// spanValue is the time from start to end, null before the end.
func spanValue(start, end Millis) value {
	if start == 0 || end == 0 {
		return value{null: true}
	}
	return value{num: int64(max(0, end-start))}
}

// subject is a record that a search looks at.
type subject interface {
	value(f field) value
	size() int // bytes of its payloads, roughly
}

// executionSubject is an execution under search.
type executionSubject struct {
	v View
	e *execution
}

func (x executionSubject) value(f field) value {
	e := x.e
	switch f {
	case fieldWorkflowID:
		return textValue(e.id.String())
	case fieldWorkflowType:
		return textValue(x.v.s.planOf(e).Name)
	case fieldVersion:
		return value{num: int64(x.v.s.planOf(e).Version)}
	case fieldCorrelation:
		return textValue(e.corr)
	case fieldStatus:
		return textValue(e.status.String())
	case fieldStart:
		return timeValue(e.created)
	case fieldEnd:
		return timeValue(e.endTime)
	case fieldUpdate:
		return timeValue(e.updated)
	case fieldExecutionTime:
		return spanValue(e.created, e.endTime)
	case fieldPriority:
		return value{num: int64(e.priority)}
	}
	return x.fact(f)
}

func (x executionSubject) fact(f field) value {
	e := x.e
	switch f {
	case fieldInput:
		return textValue(string(e.input.bytes()))
	case fieldOutput:
		return textValue(string(x.v.s.render(e, e.output)))
	case fieldReason:
		return textValue(e.reason)
	case fieldEvent:
		return textValue(e.event)
	case fieldFailedRefs:
		refs, _ := x.v.failed(e)
		return listValue(refs)
	case fieldFailedNames:
		_, names := x.v.failed(e)
		return listValue(names)
	case fieldCreatedBy:
		return textValue(e.createdBy)
	case fieldKey:
		return textValue(e.key_)
	case fieldParent:
		if e.parent.IsZero() {
			return value{null: true}
		}
		return textValue(e.parent.Exec.String())
	}
	return textValue(x.classifier())
}

func (x executionSubject) size() int {
	return len(x.e.input.raw) + len(x.e.output.raw) + len(x.v.s.planOf(x.e).Source)
}

// classifier is agent for definitions that say so or were made by an agent SDK.
func (x executionSubject) classifier() string {
	metadata, ok := expr.Get(x.v.s.planOf(x.e).Source, "metadata")
	if !ok {
		return "workflow"
	}
	if given, ok := expr.Get(metadata, "classifier"); ok {
		if text, isText := expr.Unquote(given); isText {
			return text
		}
	}
	for _, key := range []string{"agent_sdk", "agentDef"} {
		if _, ok := expr.Get(metadata, key); ok {
			return "agent"
		}
	}
	return "workflow"
}

// taskSubject is a record under search, with its execution.
type taskSubject struct {
	v View
	e *execution
	t *task
}

func (x taskSubject) value(f field) value {
	t := x.t
	switch f {
	case fieldTaskID:
		return textValue(t.id.String())
	case fieldTaskType:
		return textValue(shownType(x.v.s.nodeOf(x.e, t.node)))
	case fieldTaskName:
		return textValue(shownName(x.v.s.nodeOf(x.e, t.node)))
	case fieldTaskRef:
		return textValue(visibleRef(x.v.s, t))
	case fieldStatus:
		return textValue(effective(x.e, t).String())
	case fieldScheduled:
		return timeValue(t.scheduled)
	case fieldStart:
		return timeValue(t.start)
	case fieldUpdate:
		return timeValue(t.updated)
	case fieldEnd:
		return timeValue(x.end())
	case fieldExecutionTime:
		return spanValue(t.start, x.end())
	case fieldQueueWait:
		return spanValue(t.scheduled, t.start)
	}
	return x.fact(f)
}

func (x taskSubject) fact(f field) value {
	t := x.t
	switch f {
	case fieldReason:
		return textValue(t.reason)
	case fieldInput:
		return textValue(string(t.input.bytes()))
	case fieldOutput:
		return textValue(string(x.v.s.render(x.e, t.output)))
	case fieldDomain:
		if q, ok := x.v.s.queues.get(t.queue); ok {
			if domain, _, has := strings.Cut(string(q.name), ":"); has {
				return textValue(domain)
			}
		}
		return value{null: true}
	}
	return executionSubject{v: x.v, e: x.e}.value(f)
}

// size counts the members of outputs that are put together when they are read.
func (x taskSubject) size() int {
	n := len(x.t.input.raw) + len(x.t.output.raw)
	if x.t.output.kind > dataRaw {
		n += scanUnit * x.v.records(x.e)
	}
	return n
}

// end is the execution's for a record that its end canceled.
func (x taskSubject) end() Millis {
	if x.t.open() && x.e.status.Terminal() {
		return x.e.endTime
	}
	return x.t.end
}

// failed lists reference names and task names that have an attempt that failed, retried
// ones too, by first failure.
func (v View) failed(e *execution) (refs, names []string) {
	seenRefs, seenNames := map[string]bool{}, map[string]bool{}
	for id := range v.s.bad.tree.From(TaskID{Exec: e.id}) {
		if id.Exec != e.id {
			break
		}
		t, ok := v.s.findTask(id)
		if !ok || t.status != TaskStatusFailed && t.status != TaskStatusFailedTerminal {
			continue
		}
		if ref := visibleRef(v.s, t); !seenRefs[ref] {
			seenRefs[ref] = true
			refs = append(refs, ref)
		}
		if name := shownName(v.s.nodeOf(e, t.node)); !seenNames[name] {
			seenNames[name] = true
			names = append(names, name)
		}
	}
	return refs, names
}
