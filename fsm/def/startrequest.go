package def

import (
	"strconv"

	"github.com/pawlhq/pawl/fsm/expr"
)

// Start is a request to start an execution.
type Start struct {
	Source  []byte // as written, byte for byte
	Name    string
	Version int32 // 0: the highest registered
	// Plan is the definition that the request brings along, nil when it names a
	// registered one.
	Plan *Plan
}

// maxPriority is the highest priority that an execution may have.
const maxPriority = 99

var startFields = []field{
	{"name", text},
	{"version", whole},
	{"correlationId", text},
	{"input", object},
	{"taskToDomain", object},
	{"workflowDef", object},
	{"externalInputPayloadStoragePath", text},
	{"priority", whole},
	{"createdBy", text},
	{"idempotencyKey", text},
	{"idempotencyStrategy", text},
	{"event", text},
	// Only the test endpoint reads these.
	{"taskRefToMockOutput", object},
	{"subWorkflowTestRequest", object},
}

// ParseStart reads a request to start an execution, the definition in it included. It
// returns the request, or everything that is wrong with it; then the request is nil.
func ParseStart(src []byte) (*Start, []Problem) {
	var r report
	raw := r.document(src)
	if raw == nil {
		return nil, r.problems
	}
	s := r.start(nil, raw)
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	s.Source = raw
	return s, nil
}

// start reads a request that stands alone, in a schedule or in a handler's action.
func (r *report) start(at *place, raw []byte) *Start {
	rec := r.record(at, raw, startFields)
	s := &Start{Name: rec.text("name"), Version: int32(rec.int("version", 0))}
	if expr.KindOf(raw) != expr.Map {
		return s
	}
	if s.Name == "" {
		r.add(at.member("name"), "is required: the name of the definition to start")
	}
	if s.Version < 0 {
		r.add(at.member("version"), "found "+strconv.Itoa(int(s.Version))+", allowed are 1 and above, or 0 for the latest")
	}
	if p := rec.int("priority", 0); p < 0 || p > maxPriority {
		r.add(at.member("priority"), "found "+strconv.FormatInt(p, 10)+", allowed are 0 to 99")
	}
	for key, val := range expr.Members(rec.raw("taskToDomain")) {
		if _, ok := textOf(val); !ok {
			r.add(at.member("taskToDomain").member(key), "found "+describe(val)+", allowed is a string")
		}
	}
	r.strategy(rec)
	if def := rec.raw("workflowDef"); def != nil {
		inner := newParser()
		s.Plan, _ = inner.compile(def, false)
		r.under(at.member("workflowDef"), &inner.report)
	}
	return s
}

// strategy checks what a start with an idempotency key does when the key is taken.
func (r *report) strategy(rec record) {
	switch s := rec.text("idempotencyStrategy"); s {
	case "", "FAIL", "RETURN_EXISTING", "FAIL_ON_RUNNING":
	default:
		r.add(rec.at.member("idempotencyStrategy"), "found "+quote(s)+", allowed are FAIL, RETURN_EXISTING and FAIL_ON_RUNNING")
	}
}
