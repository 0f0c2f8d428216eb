package transport

import (
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

type watchStream = connect.ServerStreamForClient[apiv1.WatchExecutionResponse]

func (l *line) watch() *watchStream {
	l.t.Helper()
	w, err := l.c.executions.Watch(l.t.Context(), &apiv1.WatchExecutionRequest{ExecutionId: l.id})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = w.Close() })
	return w
}

// next gives the next message of a watch.
func next(t *testing.T, w *watchStream) *apiv1.WatchExecutionResponse {
	t.Helper()
	if !w.Receive() {
		t.Fatalf("the stream has ended: %v", w.Err())
	}
	return w.Msg()
}

// kinds lists what a watch tells until it has told something, or has ended.
func kinds(t *testing.T, w *watchStream, until string) string {
	t.Helper()
	var got []string
	for {
		m := next(t, w)
		for _, c := range m.Changes {
			got = append(got, strings.TrimSpace(c.Kind+" "+c.Ref))
		}
		if len(m.Changes) > 0 && m.Changes[len(m.Changes)-1].Kind == until {
			return strings.Join(got, ", ")
		}
	}
}

func TestAWatchTellsTheStateAndThenEachChange(t *testing.T) {
	s := serve(t)
	l := s.line(t)
	l.report("a", apiv1.Task_COMPLETED)
	w := l.watch()
	state := next(t, w)
	if x := state.Execution; x.GetStatus() != apiv1.Execution_RUNNING || x.Input != "" || state.Gap || state.Ended || state.Position == "" {
		t.Errorf("the state is %v", state)
	}
	if len(state.Tasks) != 2 || state.Tasks[0].Status != apiv1.Task_COMPLETED || state.Tasks[1].Ref != "b" || state.Tasks[0].Output != "" {
		t.Errorf("its tasks are %v", state.Tasks)
	}
	if _, err := l.c.executions.Pause(t.Context(), &apiv1.PauseExecutionRequest{ExecutionId: l.id}); err != nil {
		t.Fatal(err)
	}
	if got := kinds(t, w, "execution_paused"); got != "execution_paused" {
		t.Errorf("after the pause: %s", got)
	}
	if _, err := l.c.executions.Resume(t.Context(), &apiv1.ResumeExecutionRequest{ExecutionId: l.id}); err != nil {
		t.Fatal(err)
	}
	l.report("b", apiv1.Task_FAILED)
	if got := kinds(t, w, "task_scheduled"); !strings.HasPrefix(got, "execution_resumed, task_failed b, task_scheduled b") {
		t.Errorf("after a failure that is tried again: %s", got)
	}
	l.report("b", apiv1.Task_COMPLETED)
	l.report("c", apiv1.Task_COMPLETED)
	got := kinds(t, w, "execution_completed")
	if !strings.Contains(got, "task_completed b, task_scheduled c, task_completed c, execution_completed") {
		t.Errorf("to the end: %s", got)
	}
	m := w.Msg()
	last := m.Changes[len(m.Changes)-1]
	if !m.Ended || m.Execution.GetStatus() != apiv1.Execution_COMPLETED || m.Execution.Input == "" || last.Status != apiv1.Execution_COMPLETED || last.Time == nil {
		t.Errorf("the last message is %v", m)
	}
	if w.Receive() || w.Err() != nil {
		t.Errorf("the stream goes on: %v, %v", w.Msg(), w.Err())
	}
	until(t, "the watcher is gone", func() bool {
		ws := &s.server.waiters.watchers
		ws.mu.Lock()
		defer ws.mu.Unlock()
		return ws.size == 0 && len(ws.by) == 0
	})
	if m := next(t, l.watch()); !m.Ended || m.Execution.GetStatus() != apiv1.Execution_COMPLETED || len(m.Tasks) != 4 {
		t.Errorf("a watch of what has ended tells %v", m)
	}
}

func TestAWatchOfALargeExecutionTellsItsStateInParts(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	var branches, refs []string
	for i := range maxTasks {
		ref := "t" + strings.Repeat("x", 2) + string(rune('a'+i%26)) + strings.Repeat("y", i/26)
		branches = append(branches, `[{"name":"mail","taskReferenceName":"`+ref+`","type":"SIMPLE"}]`)
		refs = append(refs, `"`+ref+`"`)
	}
	started, err := c.executions.Start(t.Context(), &apiv1.StartExecutionRequest{Definition: `{"name":"wide","version":1,"schemaVersion":2,"tasks":[
	 {"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[` + strings.Join(branches, ",") + `]},
	 {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":[` + strings.Join(refs, ",") + `]}]}`})
	if err != nil {
		t.Fatal(err)
	}
	l := &line{t: t, c: c, id: started.ExecutionId}
	w := l.watch()
	first, second := next(t, w).Tasks, next(t, w)
	if len(first) != maxTasks || len(second.Tasks) != 2 || second.More || second.Gap {
		t.Errorf("got %d and %d tasks", len(first), len(second.Tasks))
	}
}

func TestAWatcherThatFallsBehindIsTold(t *testing.T) {
	s := serve(t)
	l := s.line(t)
	w := l.watch()
	next(t, w)
	id, _ := fsm.ParseExecID(l.id)
	s.lap(&fsm.Command{Body: &fsm.PauseExecution{Exec: id}})
	for m := next(t, w); ; m = next(t, w) { // the change itself may have come before
		if m.Gap {
			if m.Execution.GetStatus() != apiv1.Execution_PAUSED || len(m.Tasks) != 1 {
				t.Errorf("after the gap: %v", m)
			}
			break
		}
	}
	if _, err := l.c.executions.Resume(t.Context(), &apiv1.ResumeExecutionRequest{ExecutionId: l.id}); err != nil {
		t.Fatal(err)
	}
	if got := kinds(t, w, "execution_resumed"); got != "execution_resumed" {
		t.Errorf("after the gap: %s", got)
	}
}

func TestChangesForASlowReaderAreBounded(t *testing.T) {
	var ws watchers
	id := fsm.ExecID{Hi: 1<<40 | 8<<12, Lo: 2 << 62}
	w, _, err := ws.add(id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(maxChanges + 2) {
		ws.tell(&fsm.Batch{Index: i + 1, Applied: &fsm.Applied{Events: []fsm.Event{{Kind: fsm.TaskReady, Exec: id, Serial: 1}, {Kind: fsm.TermBegan, Exec: id}}}})
	}
	if changes, lapped := w.take(); !lapped || len(changes) != 2 || changes[1].index != maxChanges+2 {
		t.Errorf("%d changes are kept, lapped %v; want the last two, and to be told", len(changes), lapped)
	}
	if changes, lapped := w.take(); lapped || len(changes) != 0 {
		t.Errorf("once taken, %d changes are left, lapped %v", len(changes), lapped)
	}
	ws.remove(w)
	for range maxWatchers {
		if _, _, err := ws.add(id); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := ws.add(id); err == nil {
		t.Error("watchers are not bounded")
	}
}

func TestAWatchEndsWithItsExecutionOrItsNode(t *testing.T) {
	s := serve(t)
	l := s.line(t)
	w := l.watch()
	next(t, w)
	if _, err := l.c.executions.Delete(t.Context(), &apiv1.DeleteExecutionRequest{ExecutionId: l.id, Force: true}); err != nil {
		t.Fatal(err)
	}
	for m := next(t, w); !m.Ended; m = next(t, w) {
	}
	if w.Msg().Execution != nil {
		t.Errorf("of a deleted execution it tells %v", w.Msg())
	}
	gone, err := l.c.executions.Watch(t.Context(), &apiv1.WatchExecutionRequest{ExecutionId: l.id})
	if err == nil && !gone.Receive() {
		err = gone.Err()
	}
	if d, _ := detail(t, err); d.Code != string(fsm.NotFound) {
		t.Errorf("a watch of what is gone: %v", err)
	}
	l.id = s.start(t, l.c, "hold")
	w = l.watch()
	next(t, w)
	s.server.Drain()
	if m := next(t, w); m.GoElsewhere == nil || m.Ended {
		t.Errorf("a node that stops tells %v", m)
	}
}

func TestEveryEventOfAnExecutionHasAWord(t *testing.T) {
	seen := map[string]fsm.EventKind{}
	for k, word := range words {
		if other, ok := seen[word]; ok && word != "" {
			t.Errorf("events %d and %d are both %s", k, other, word)
		}
		seen[word] = fsm.EventKind(k)
	}
	if word(fsm.EventKind(255)) != "" || word(fsm.DefinitionPut) != "" || word(fsm.TaskReopened) == "" {
		t.Error("events that are of no execution have a word, or one that is has none")
	}
}
