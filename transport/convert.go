package transport

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// maxRequestID bounds request ids in characters: a UUID with room to spare.
const maxRequestID = 64

// RequestID gives the machine's form of a client's request id; the empty text is no
// id. A text that is too long is refused with the name of the field.
func RequestID(text string) (fsm.RequestID, error) {
	var id fsm.RequestID
	if text == "" {
		return id, nil
	}
	if utf8.RuneCountInString(text) > maxRequestID {
		return id, badField("requestId", "longer than 64 characters")
	}
	sum := sha256.Sum256([]byte(text))
	copy(id[:], sum[:])
	return id, nil
}

func execID(field, text string) (fsm.ExecID, error) {
	id, err := fsm.ParseExecID(text)
	if err != nil {
		return id, badField(field, "not the id of an execution")
	}
	return id, nil
}

func taskID(field, text string) (fsm.TaskID, error) {
	id, err := fsm.ParseID(text)
	if err != nil || id.Serial == 0 {
		return fsm.TaskID{}, badField(field, "not the id of a task")
	}
	return id, nil
}

func nodeID(field, text string) (fsm.NodeID, error) {
	if text == "" {
		return fsm.NodeID{}, nil
	}
	id, err := fsm.ParseNodeID(text)
	if err != nil {
		return id, badField(field, "not the id of a node: 32 hexadecimal digits")
	}
	return id, nil
}

// payload gives the bytes of a JSON text; nil for the empty one.
func payload(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text)
}

// text gives bytes from State as text that the protocols can carry. Payloads that came
// in by this API are valid already.
func text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\ufffd")
}

func validText(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

func idText(e fsm.ExecID) string {
	if e.IsZero() {
		return ""
	}
	return e.String()
}

func taskIDText(t fsm.TaskID) string {
	if t.IsZero() {
		return ""
	}
	return t.String()
}

// instant is absent for the zero time.
func instant(m fsm.Millis) *timestamppb.Timestamp {
	if m == 0 {
		return nil
	}
	return timestamppb.New(time.UnixMilli(int64(m)))
}

func position(v fsm.View) fsm.Position {
	return fsm.Position{Incarnation: v.Incarnation(), Index: v.Index()}
}

// execution converts x. The numbers of the statuses are the same on both sides.
func execution(x *fsm.ExecutionInfo) *apiv1.Execution {
	return &apiv1.Execution{
		Id:           x.ID.String(),
		Definition:   x.Definition,
		Version:      x.Version,
		Status:       apiv1.Execution_Status(x.Status),
		Reason:       validText(x.Reason),
		Created:      instant(x.Created),
		Updated:      instant(x.Updated),
		Ended:        instant(x.Ended),
		Input:        text(x.Input),
		Output:       text(x.Output),
		Variables:    text(x.Variables),
		Correlation:  x.Correlation,
		Priority:     x.Priority,
		Key:          x.Key,
		CreatedBy:    x.CreatedBy,
		ParentTaskId: taskIDText(x.Parent),
		FailedRefs:   x.FailedRefs,
		FailedTaskId: taskIDText(x.FailedTask),
		TaskCount:    int32(x.Tasks),
	}
}

// task converts t. The numbers of the statuses are the same on both sides.
func task(t *fsm.TaskInfo) *apiv1.Task {
	return &apiv1.Task{
		Id:                t.ID.String(),
		ExecutionId:       t.ID.Exec.String(),
		Serial:            t.ID.Serial,
		Ref:               t.Ref,
		Name:              t.Name,
		Type:              t.Type,
		Kind:              t.Kind,
		Status:            apiv1.Task_Status(t.Status),
		Seq:               t.Seq,
		Retry:             t.Retry,
		Iteration:         t.Iteration,
		RetriedOf:         taskIDText(t.RetriedOf),
		Retried:           t.Retried,
		Executed:          t.Executed,
		Scheduled:         instant(t.Scheduled),
		Started:           instant(t.Started),
		Ended:             instant(t.Ended),
		Updated:           instant(t.Updated),
		Input:             text(t.Input),
		Output:            text(t.Output),
		Reason:            validText(t.Reason),
		Worker:            validText(t.Worker),
		Lease:             uint64(t.Lease),
		DoneLease:         uint64(t.DoneLease),
		Unfenced:          t.Unfenced,
		Queue:             string(t.Queue),
		ChildId:           idText(t.Child),
		Polls:             t.Polls,
		StartDelaySeconds: t.StartDelay,
		CallbackSeconds:   t.CallbackSeconds,
		Due:               instant(t.Due),
	}
}

// leased fills m, which may have been sent before, from l.
func leased(m *apiv1.LeasedTask, l *fsm.Leased) {
	if m.Scheduled == nil {
		m.Scheduled = &timestamppb.Timestamp{}
	}
	m.Scheduled.Seconds = int64(l.Scheduled) / 1000
	m.Scheduled.Nanos = int32(int64(l.Scheduled)%1000) * 1_000_000
	m.TaskId = l.Task.String()
	m.ExecutionId = l.Task.Exec.String()
	m.Lease = uint64(l.Lease)
	m.Queue = string(l.Queue)
	m.Type = l.Type
	m.Ref = l.Ref
	m.Definition = l.Definition
	m.Retry = l.Retry
	m.Iteration = l.Iteration
	m.Priority = l.Priority
	m.Correlation = l.Correlation
	m.Input = text(l.Input)
	m.ResponseMillis = int64(l.ResponseMillis)
	m.RuntimeMetadata = nil
	if len(l.Told) > 0 {
		m.RuntimeMetadata = make(map[string]string, len(l.Told))
	}
	for _, x := range l.Told {
		m.RuntimeMetadata[x.Name] = x.Value
	}
}

// queue converts q as read at now: the machine tells an age, clients an instant.
func queue(q *fsm.QueueInfo, now fsm.Millis) *apiv1.Queue {
	m := &apiv1.Queue{
		Name:    string(q.Queue),
		Type:    q.Type,
		Ready:   int32(q.Ready),
		Delayed: int32(q.Delayed),
		Leased:  int32(q.Leased),
		Paused:  q.Paused,

		Concurrency: int32(q.Concurrency),
		Rate:        int32(q.Rate),
		RateSeconds: int32(q.RateSeconds),
		Permits:     int32(q.Permits),
	}
	if q.Ready > 0 {
		m.Oldest = instant(now - q.Oldest)
	}
	return m
}

// domains converts a start's map, ascending by type as the machine wants it.
func domains(m map[string]string) []fsm.Domain {
	if len(m) == 0 {
		return nil
	}
	list := make([]fsm.Domain, 0, len(m))
	for t, d := range m {
		list = append(list, fsm.Domain{Type: t, Domain: d})
	}
	slices.SortFunc(list, func(a, b fsm.Domain) int { return strings.Compare(a.Type, b.Type) })
	return list
}
