package transport

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

const secretDefinition = `{"name":"secretive","version":1,"schemaVersion":2,"tasks":[{"name":"quiet","taskReferenceName":"q","type":"SIMPLE",
 "inputParameters":{"key":"${workflow.secrets.KEY}","host":"${workflow.env.HOST}"}}]}`

func setUpSecrets(t *testing.T, c *clients) {
	t.Helper()
	for _, source := range []string{secretDefinition, `{"name":"quiet","runtimeMetadata":["KEY","HOST","NONE"]}`} {
		if _, err := c.definitions.Apply(t.Context(), &apiv1.ApplyDefinitionRequest{Source: source}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.settings.PutSecret(t.Context(), &apiv1.PutSecretRequest{Name: "KEY", Value: "s3cret"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.settings.PutVariable(t.Context(), &apiv1.PutVariableRequest{Name: "HOST", Value: "example.org"}); err != nil {
		t.Fatal(err)
	}
}

func wantFilled(t *testing.T, task *apiv1.LeasedTask) {
	t.Helper()
	if want := `{"key":"s3cret","host":"example.org"}`; task.Input != want {
		t.Errorf("input: got %s, want %s", task.Input, want)
	}
	if m := task.RuntimeMetadata; len(m) != 2 || m["KEY"] != "s3cret" || m["HOST"] != "example.org" {
		t.Errorf("runtime metadata: got %v", m)
	}
}

func TestSecretsAreFilledInForWorkersAlone(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	setUpSecrets(t, c)
	id := s.start(t, c, "secretive")
	s.start(t, c, "secretive")
	polled, err := c.tasks.Poll(t.Context(), &apiv1.PollTasksRequest{Worker: "w", Types: []string{"quiet"}})
	if err != nil || len(polled.Tasks) != 1 {
		t.Fatalf("poll: %v, %v", polled, err)
	}
	wantFilled(t, polled.Tasks[0])
	d := openDesk(t, c, &apiv1.WorkRequest{Hello: &apiv1.Hello{Worker: "w", Queues: []string{"quiet"}}, Credit: 1})
	d.receive(func() bool { return len(d.tasks) == 1 })
	wantFilled(t, d.tasks[0])

	got, err := c.tasks.Get(t.Context(), &apiv1.GetTaskRequest{TaskId: polled.Tasks[0].TaskId})
	if want := `{"key":"${workflow.secrets.KEY}","host":"example.org"}`; err != nil || got.Task.Input != want {
		t.Errorf("read of a task of %s: got %v, %v", id, got, err)
	}
}

func TestSettingService(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	setUpSecrets(t, c)
	secrets, err := c.settings.ListSecrets(t.Context(), &apiv1.ListSecretsRequest{})
	if err != nil || len(secrets.Secrets) != 1 || secrets.Secrets[0].Name != "KEY" || secrets.Secrets[0].Value != "" || secrets.Secrets[0].Created == nil {
		t.Errorf("secrets: got %v, %v", secrets, err)
	}
	vars, err := c.settings.ListVariables(t.Context(), &apiv1.ListVariablesRequest{})
	if err != nil || len(vars.Variables) != 1 || vars.Variables[0].Value != "example.org" {
		t.Errorf("variables: got %v, %v", vars, err)
	}
	if _, err := c.settings.DeleteSecret(t.Context(), &apiv1.DeleteSecretRequest{Name: "KEY"}); err != nil {
		t.Error(err)
	}
	if _, err := c.settings.DeleteVariable(t.Context(), &apiv1.DeleteVariableRequest{Name: "HOST"}); err != nil {
		t.Error(err)
	}
	_, err = c.settings.DeleteSecret(t.Context(), &apiv1.DeleteSecretRequest{Name: "KEY"})
	if d, _ := detail(t, err); d.Code != "not_found" {
		t.Errorf("delete again: got %v", d)
	}
	_, err = c.settings.PutSecret(t.Context(), &apiv1.PutSecretRequest{Name: "a.b"})
	if d, _ := detail(t, err); d.Code != "malformed" || d.Field != "name" {
		t.Errorf("a name with a dot: got %v", d)
	}
}

// behind gives views that never reach the entry of a lease.
type behind struct{ *machine }

func (behind) AtLeast(context.Context, fsm.Position) (fsm.View, error) {
	return fsm.View{}, errors.New("behind")
}

func TestTaskWhoseSecretsCannotBeFilledInIsGivenBack(t *testing.T) {
	m := newMachine()
	s := &Server{deps: Deps{Proposer: m, Views: behind{m}, Log: slog.New(slog.DiscardHandler)}, draining: make(chan struct{})}
	out := s.completed(t.Context(), []fsm.Leased{
		{Lease: 1, Index: 1 << 40, Input: []byte(`{"k":"${workflow.secrets.K}"}`), Task: fsm.TaskID{Exec: fsm.ExecID{Hi: 1}, Serial: 1}},
		{Lease: 2, Index: 1 << 40, Input: []byte(`{"k":1}`)},
	})
	if len(out) != 1 || out[0].Lease != 2 {
		t.Errorf("got %v, want the task without secrets alone", out)
	}
	s.background.Wait()
}
