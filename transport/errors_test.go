package transport

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
)

func TestEveryCodeHasARowAndReachesTheClient(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	grpc := s.clients(s.h2, connect.WithGRPC())
	for _, code := range fsm.Codes() {
		row, ok := table[code]
		if !ok {
			t.Errorf("code %s has no row", code)
			continue
		}
		s.failWith(&fsm.Rejection{Code: code, Message: "because " + string(code)})
		for name, c := range map[string]*clients{"connect": c, "grpc": grpc} {
			_, err := c.queues.Pause(t.Context(), &apiv1.PauseQueueRequest{Name: "q"})
			d, got := detail(t, err)
			if d.Code != string(code) || got != row.connect || d.Message != "because "+string(code) || !d.Definite {
				t.Errorf("%s by %s: got %v as %v, want %v", code, name, d, got, row.connect)
			}
		}
	}
}

func TestErrorsOfTheWayReachTheClient(t *testing.T) {
	for _, test := range []struct {
		err      error
		code     fsm.Code
		wire     connect.Code
		definite bool
	}{
		{fmt.Errorf("propose: %w", fsm.ErrUnknown), CodeUnknownOutcome, connect.CodeUnknown, false},
		{fsm.ErrNoLeader, CodeNoLeader, connect.CodeUnavailable, true},
		{&fsm.NotLeaderError{Leader: testNode, Addr: "10.0.0.9:8080"}, CodeNotLeader, connect.CodeUnavailable, true},
		{&fsm.OverloadedError{Reason: "queue", RetryAfter: 2300}, CodeOverloaded, connect.CodeResourceExhausted, true},
		{context.DeadlineExceeded, CodeDeadline, connect.CodeDeadlineExceeded, false},
		{context.Canceled, CodeCanceled, connect.CodeCanceled, false},
		{errDisk, CodeInternal, connect.CodeInternal, false},
	} {
		t.Run(string(test.code), func(t *testing.T) {
			s := serve(t)
			c := s.clients(s.h2)
			s.failWith(test.err)
			_, err := c.queues.Pause(t.Context(), &apiv1.PauseQueueRequest{Name: "q"})
			d, wire := detail(t, err)
			if d.Code != string(test.code) || wire != test.wire || d.Definite != test.definite {
				t.Errorf("change: got %v as %v", d, wire)
			}
			if strings.Contains(d.Message, "secret") {
				t.Errorf("the text of an internal error is shown: %q", d.Message)
			}
			_, err = c.queues.List(t.Context(), &apiv1.ListQueuesRequest{})
			if d, wire := detail(t, err); d.Code != string(test.code) || wire != test.wire || !d.Definite {
				t.Errorf("read: got %v as %v", d, wire)
			}
		})
	}
}

func TestOverloadSaysWhenToComeBack(t *testing.T) {
	s := serve(t)
	s.failWith(&fsm.OverloadedError{Reason: "queue", RetryAfter: 2300})
	status, header, answer := s.post(t, apiv1connect.QueueServicePauseProcedure, `{"name":"q"}`)
	if status != http.StatusTooManyRequests || header.Get("Retry-After") != "3" || answer["code"] != "resource_exhausted" {
		t.Errorf("got %d, Retry-After %q, %v", status, header.Get("Retry-After"), answer)
	}
}

func TestBadInputNamesTheField(t *testing.T) {
	s := serve(t)
	s.apply(t, s.clients(s.h2))
	id := s.start(t, s.clients(s.h2), "hold")
	for _, test := range []struct {
		name, procedure, body, code, field string
	}{
		{"unknown field", apiv1connect.ExecutionServiceStartProcedure, `{"name":"hold","inptu":"{}"}`, "malformed", "inptu"},
		{"unknown nested field", apiv1connect.QueueServiceListProcedure, `{"read":{"consistancy":"STALE"}}`, "malformed", "consistancy"},
		{"wrong type", apiv1connect.ExecutionServiceStartProcedure, `{"name":7}`, "malformed", "name"},
		{"wrong enum", apiv1connect.ExecutionServiceListProcedure, `{"status":"SLEEPING"}`, "malformed", "status"},
		{"unknown enum number", apiv1connect.ExecutionServiceListProcedure, `{"status":77}`, "malformed", "status"},
		{"twice", apiv1connect.ExecutionServiceStartProcedure, `{"name":"a","name":"b"}`, "malformed", "name"},
		{"number out of range", apiv1connect.ExecutionServiceStartProcedure, `{"name":"hold","version":99999999999}`, "malformed", "version"},
		{"no JSON", apiv1connect.ExecutionServiceStartProcedure, `{"name":`, "malformed", ""},
		{"empty body", apiv1connect.ExecutionServiceStartProcedure, ``, "malformed", ""},
		{"payload no JSON", apiv1connect.ExecutionServiceStartProcedure, `{"name":"hold","input":"{"}`, "malformed", "input"},
		{"payload no object", apiv1connect.ExecutionServiceStartProcedure, `{"name":"hold","input":"[1]"}`, "malformed", "input"},
		{"priority", apiv1connect.ExecutionServiceStartProcedure, `{"name":"hold","priority":100}`, "malformed", "priority"},
		{"strategy", apiv1connect.ExecutionServiceStartProcedure, `{"name":"hold","strategy":9}`, "malformed", "strategy"},
		{"creator", apiv1connect.ExecutionServiceStartProcedure, `{"name":"hold","createdBy":"` + strings.Repeat("x", 256) + `"}`, "malformed", "createdBy"},
		{"domain", apiv1connect.ExecutionServiceStartProcedure, `{"name":"hold","taskToDomain":{"":"eu"}}`, "malformed", "taskToDomain"},
		{"request id", apiv1connect.ExecutionServiceStartProcedure, `{"name":"hold","requestId":"` + strings.Repeat("r", 65) + `"}`, "malformed", "requestId"},
		{"no definition", apiv1connect.ExecutionServiceStartProcedure, `{"name":"nowhere"}`, "no_definition", ""},
		{"execution id", apiv1connect.ExecutionServiceGetProcedure, `{"executionId":"e1"}`, "malformed", "executionId"},
		{"id of a task", apiv1connect.ExecutionServicePauseProcedure, `{"executionId":"` + id[:35] + `1"}`, "malformed", "executionId"},
		{"task limit", apiv1connect.ExecutionServiceGetProcedure, `{"executionId":"` + id + `","taskLimit":1001}`, "malformed", "taskLimit"},
		{"explain id", apiv1connect.ExecutionServiceExplainProcedure, `{"id":"x"}`, "malformed", "id"},
		{"list cursor", apiv1connect.ExecutionServiceListProcedure, `{"cursor":"banana"}`, "malformed", "cursor"},
		{"negative version", apiv1connect.DefinitionServiceGetProcedure, `{"name":"hold","version":-1}`, "malformed", "version"},
		{"list limit", apiv1connect.ExecutionServiceListProcedure, `{"limit":-1}`, "malformed", "limit"},
		{"wait", apiv1connect.ExecutionServiceWaitProcedure, `{"executionId":"` + id + `","timeoutMillis":60001}`, "malformed", "timeoutMillis"},
		{"position", apiv1connect.ExecutionServiceWaitProcedure, `{"executionId":"` + id + `","atLeast":"12"}`, "malformed", "atLeast"},
		{"stale at a position", apiv1connect.QueueServiceListProcedure, `{"read":{"consistency":"STALE","atLeast":"00"}}`, "malformed", "read.atLeast"},
		{"consistency", apiv1connect.QueueServiceListProcedure, `{"read":{"consistency":5}}`, "malformed", "read.consistency"},
		{"task id", apiv1connect.TaskServiceCompleteProcedure, `{"taskId":"` + id + `","lease":"4"}`, "malformed", "taskId"},
		{"no lease", apiv1connect.TaskServiceCompleteProcedure, `{"taskId":"` + id[:35] + `1"}`, "malformed", "lease"},
		{"output", apiv1connect.TaskServiceCompleteProcedure, `{"taskId":"` + id[:35] + `1","lease":"4","output":"nil"}`, "malformed", "output"},
		{"reported status", apiv1connect.TaskServiceUpdateProcedure, `{"taskId":"` + id[:35] + `1","status":"TIMED_OUT"}`, "malformed", "status"},
		{"no status", apiv1connect.TaskServiceUpdateProcedure, `{"taskId":"` + id[:35] + `1"}`, "malformed", "status"},
		{"update of nothing", apiv1connect.TaskServiceUpdateProcedure, `{"status":"COMPLETED"}`, "malformed", "executionId"},
		{"poll count", apiv1connect.TaskServicePollProcedure, `{"types":["a"],"count":101}`, "malformed", "count"},
		{"poll types", apiv1connect.TaskServicePollProcedure, `{}`, "malformed", "types"},
		{"poll timeout", apiv1connect.TaskServicePollProcedure, `{"types":["a"],"timeoutMillis":-1}`, "malformed", "timeoutMillis"},
		{"poll worker", apiv1connect.TaskServicePollProcedure, `{"types":["a"],"worker":"` + strings.Repeat("w", 256) + `"}`, "malformed", "worker"},
		{"queue name", apiv1connect.QueueServicePauseProcedure, `{}`, "malformed", "name"},
		{"version", apiv1connect.DefinitionServiceDeleteProcedure, `{"name":"hold"}`, "malformed", "version"},
		{"source no JSON", apiv1connect.DefinitionServiceApplyProcedure, `{"source":"{\"tasks\""}`, "malformed", "source"},
		{"source no YAML", apiv1connect.DefinitionServiceApplyProcedure, `{"source":"tasks: a: b"}`, "malformed", "source"},
		{"no source", apiv1connect.DefinitionServiceApplyProcedure, `{}`, "malformed", "source"},
		{"source no object", apiv1connect.DefinitionServiceValidateProcedure, `{"source":"[]"}`, "malformed", "source"},
		{"node", apiv1connect.ClusterServiceTransferProcedure, `{"to":"n1"}`, "malformed", "to"},
		{"duplicate key of signal", apiv1connect.ExecutionServiceSignalProcedure, `{"executionId":"` + id + `","status":"CANCELED"}`, "malformed", "status"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, _, answer := s.post(t, test.procedure, test.body)
			d := jsonDetail(t, answer)
			if d["code"] != test.code || str(d["field"]) != test.field {
				t.Errorf("got %d %v, want code %q, field %q", status, d, test.code, test.field)
			}
			if test.code == "malformed" && status != http.StatusBadRequest {
				t.Errorf("got status %d, want 400", status)
			}
			if test.field != "" && !strings.Contains(str(d["message"]), test.field) {
				t.Errorf("message %q does not name %s", d["message"], test.field)
			}
		})
	}
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// jsonDetail finds the ErrorDetail in an error as JSON clients see it.
func jsonDetail(t *testing.T, answer map[string]any) map[string]any {
	t.Helper()
	list, _ := answer["details"].([]any)
	for _, d := range list {
		m, _ := d.(map[string]any)
		if m["type"] == "pawl.api.v1.ErrorDetail" {
			debug, _ := m["debug"].(map[string]any)
			return debug
		}
	}
	t.Fatalf("no ErrorDetail in %v", answer)
	return nil
}

func TestMachineRejectionsReachTheClient(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	ctx := t.Context()
	id := s.start(t, c, "greet")
	missing := fsm.ExecID{Hi: 1<<40 | 8<<12, Lo: 2 << 62}.String()
	for name, test := range map[string]struct {
		call func() error
		code fsm.Code
	}{
		"signal without a WAIT": {func() error {
			_, err := c.executions.Signal(ctx, &apiv1.SignalExecutionRequest{ExecutionId: id})
			return err
		}, fsm.NothingWaits},
		"resume of a running one": {func() error {
			_, err := c.executions.Resume(ctx, &apiv1.ResumeExecutionRequest{ExecutionId: id})
			return err
		}, fsm.Conflict},
		"terminate of nothing": {func() error {
			_, err := c.executions.Terminate(ctx, &apiv1.TerminateExecutionRequest{ExecutionId: missing})
			return err
		}, fsm.NotFound},
		"wait for nothing": {func() error {
			_, err := c.executions.Wait(ctx, &apiv1.WaitExecutionRequest{ExecutionId: missing})
			return err
		}, fsm.NotFound},
		"get of nothing": {func() error {
			_, err := c.executions.Get(ctx, &apiv1.GetExecutionRequest{ExecutionId: missing})
			return err
		}, fsm.NotFound},
		"explain of nothing": {func() error {
			_, err := c.executions.Explain(ctx, &apiv1.ExplainExecutionRequest{Id: missing})
			return err
		}, fsm.NotFound},
		"task of nothing": {func() error {
			_, err := c.tasks.Get(ctx, &apiv1.GetTaskRequest{TaskId: missing[:35] + "1"})
			return err
		}, fsm.NotFound},
		"another request under the same id": {func() error {
			if _, err := c.queues.Pause(ctx, &apiv1.PauseQueueRequest{Name: "mail", RequestId: "same"}); err != nil {
				return err
			}
			_, err := c.queues.Resume(ctx, &apiv1.ResumeQueueRequest{Name: "mail", RequestId: "same"})
			return err
		}, fsm.Duplicate},
	} {
		if d, code := detail(t, test.call()); d.Code != string(test.code) || code != table[test.code].connect || !d.Definite {
			t.Errorf("%s: got %v as %v, want %s", name, d, code, test.code)
		}
	}
}

func TestOversizeRequestSaysWhatIsAllowed(t *testing.T) {
	s := serve(t)
	status, _, answer := s.post(t, apiv1connect.DefinitionServiceApplyProcedure, `{"source":"`+strings.Repeat("x", MaxRequestBytes)+`"}`)
	d := jsonDetail(t, answer)
	if status != http.StatusBadRequest || d["code"] != "too_large" || !strings.Contains(str(d["message"]), "1048576 are allowed") {
		t.Errorf("got %d %v", status, d)
	}
}

func TestPanicIsAnInternalErrorAndTheServerGoesOn(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.mu.Lock()
	s.fail = func(*fsm.Command) error { panic("boom") }
	s.mu.Unlock()
	_, err := c.queues.Pause(t.Context(), &apiv1.PauseQueueRequest{Name: "q"})
	if d, code := detail(t, err); d.Code != "internal" || code != connect.CodeInternal || d.Definite || strings.Contains(d.Message, "boom") {
		t.Errorf("got %v as %v", d, code)
	}
	s.failWith(nil)
	if _, err := c.queues.List(t.Context(), &apiv1.ListQueuesRequest{}); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

func TestDescribeKnowsEveryError(t *testing.T) {
	f := Describe(fmt.Errorf("x: %w", &fsm.Rejection{Code: "new_code", Message: "m"}))
	if f.Connect != connect.CodeInternal || f.Code != "new_code" {
		t.Errorf("a code without a row: got %+v", f)
	}
	f = Describe(errDraining)
	if f.HTTP != http.StatusServiceUnavailable || !f.Definite || f.RetrySeconds() != "1" {
		t.Errorf("draining: got %+v", f)
	}
}
