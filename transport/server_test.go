package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
)

const (
	mailDefinition = `{"name":"greet","version":1,"schemaVersion":2,"tasks":[{"name":"mail","taskReferenceName":"m","type":"SIMPLE","inputParameters":{"to":"${workflow.input.to}"}}],"outputParameters":{"sent":"${m.output.sent}"}}`
	waitDefinition = `{"name":"hold","version":1,"schemaVersion":2,"tasks":[{"name":"w","taskReferenceName":"w","type":"WAIT"}]}`
	mailType       = `{"name":"mail","retryCount":1,"retryDelaySeconds":0,"timeoutSeconds":0,"responseTimeoutSeconds":60}`
)

// site is a served machine and clients of it.
type site struct {
	*machine
	server *Server
	url    string
	stop   context.CancelFunc
	done   chan error
	h1, h2 *http.Client
}

type clients struct {
	definitions apiv1connect.DefinitionServiceClient
	executions  apiv1connect.ExecutionServiceClient
	tasks       apiv1connect.TaskServiceClient
	workers     apiv1connect.WorkerServiceClient
	queues      apiv1connect.QueueServiceClient
	cluster     apiv1connect.ClusterServiceClient
	settings    apiv1connect.SettingServiceClient
}

func serve(t *testing.T, checks ...Check) *site {
	t.Helper()
	return serveMachine(t, newMachine(), checks...)
}

func serveMachine(t *testing.T, m *machine, checks ...Check) *site {
	t.Helper()
	var proposer Proposer = m
	return serveWith(t, m, proposer, checks...)
}

func serveWith(t *testing.T, m *machine, proposer Proposer, checks ...Check) *site {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &site{machine: m, url: "http://" + ln.Addr().String(), stop: cancel, done: make(chan error, 1)}
	s.server = New(Deps{
		Proposer: proposer, Views: m, Parking: m, Cluster: m, Scripts: m, Events: m.open, Checks: checks, After: m.after,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	h1, h2 := &http.Transport{Protocols: new(http.Protocols)}, &http.Transport{Protocols: new(http.Protocols)}
	h1.Protocols.SetHTTP1(true)
	h2.Protocols.SetUnencryptedHTTP2(true)
	s.h1, s.h2 = &http.Client{Transport: h1}, &http.Client{Transport: h2}
	go func() { s.done <- s.server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		h1.CloseIdleConnections()
		h2.CloseIdleConnections()
		cancel()
		if err := <-s.done; err != nil {
			t.Errorf("serve: %v", err)
		}
		s.done <- nil
	})
	return s
}

func (s *site) clients(c *http.Client, opts ...connect.ClientOption) *clients {
	return &clients{
		definitions: apiv1connect.NewDefinitionServiceClient(c, s.url, opts...),
		executions:  apiv1connect.NewExecutionServiceClient(c, s.url, opts...),
		tasks:       apiv1connect.NewTaskServiceClient(c, s.url, opts...),
		workers:     apiv1connect.NewWorkerServiceClient(c, s.url, opts...),
		queues:      apiv1connect.NewQueueServiceClient(c, s.url, opts...),
		cluster:     apiv1connect.NewClusterServiceClient(c, s.url, opts...),
		settings:    apiv1connect.NewSettingServiceClient(c, s.url, opts...),
	}
}

// apply registers the definitions that tests use.
func (s *site) apply(t *testing.T, c *clients) {
	t.Helper()
	for _, source := range []string{mailType, mailDefinition, waitDefinition} {
		if _, err := c.definitions.Apply(t.Context(), &apiv1.ApplyDefinitionRequest{Source: source}); err != nil {
			t.Fatalf("apply %s: %v", source, err)
		}
	}
}

func (s *site) start(t *testing.T, c *clients, name string) string {
	t.Helper()
	resp, err := c.executions.Start(t.Context(), &apiv1.StartExecutionRequest{Name: name, Input: `{"to":"ann"}`})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	return resp.ExecutionId
}

// post sends a JSON request by HTTP/1.1, as curl would.
func (s *site) post(t *testing.T, procedure, body string) (status int, header http.Header, answer map[string]any) {
	t.Helper()
	resp, err := s.h1.Post(s.url+procedure, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("status %d, answer %q: %v", resp.StatusCode, raw, err)
	}
	return resp.StatusCode, resp.Header, answer
}

// detail gives the ErrorDetail of err and the code of the protocol.
func detail(t *testing.T, err error) (*apiv1.ErrorDetail, connect.Code) {
	t.Helper()
	var ce *connect.Error
	if !errors.As(err, &ce) {
		t.Fatalf("got error %v, want one of the protocol", err)
	}
	for _, d := range ce.Details() {
		if v, err := d.Value(); err == nil {
			if ed, ok := v.(*apiv1.ErrorDetail); ok {
				return ed, ce.Code()
			}
		}
	}
	t.Fatalf("error %v has no ErrorDetail", err)
	return nil, 0
}

// protocols runs a test over everything that clients may speak.
func protocols(t *testing.T, s *site, test func(t *testing.T, c *clients)) {
	t.Helper()
	for name, c := range map[string]*clients{
		"connect binary h2c":    s.clients(s.h2),
		"connect json h2c":      s.clients(s.h2, connect.WithProtoJSON()),
		"connect binary http/1": s.clients(s.h1),
		"connect json http/1":   s.clients(s.h1, connect.WithProtoJSON()),
		"grpc":                  s.clients(s.h2, connect.WithGRPC()),
		"grpc-web":              s.clients(s.h1, connect.WithGRPCWeb()),
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

func TestEveryProtocolRunsAnExecutionToItsEnd(t *testing.T) {
	s := serve(t)
	s.apply(t, s.clients(s.h2))
	protocols(t, s, func(t *testing.T, c *clients) {
		id := s.start(t, c, "greet")
		poll, err := c.tasks.Poll(t.Context(), &apiv1.PollTasksRequest{Worker: "w1", Types: []string{"mail"}, TimeoutMillis: 5000})
		if err != nil || len(poll.Tasks) != 1 {
			t.Fatalf("poll: got %v, %v, want one task", poll, err)
		}
		got := poll.Tasks[0]
		if got.ExecutionId != id || got.Input != `{"to":"ann"}` || got.Lease == 0 || got.Type != "mail" || got.Ref != "m" || got.ResponseMillis != 60_000 {
			t.Errorf("leased task: got %v", got)
		}
		done, err := c.tasks.Complete(t.Context(), &apiv1.CompleteTaskRequest{TaskId: got.TaskId, Lease: got.Lease, Output: `{"sent":1.50}`, Worker: "w1"})
		if err != nil {
			t.Fatalf("complete: %v", err)
		}
		wait, err := c.executions.Wait(t.Context(), &apiv1.WaitExecutionRequest{ExecutionId: id, AtLeast: done.Position})
		if err != nil {
			t.Fatalf("wait: %v", err)
		}
		if x := wait.Execution; !wait.Ended || x.Status != apiv1.Execution_COMPLETED || x.Output != `{"sent":1.50}` || x.Input != `{"to":"ann"}` || x.Ended == nil {
			t.Errorf("wait: got %v", wait)
		}
	})
}

func TestAnswersNameTheLeader(t *testing.T) {
	s := serve(t)
	for body, want := range map[string]int{`{}`: http.StatusOK, `{"read":{"atLeast":"zz"}}`: http.StatusBadRequest} {
		status, header, _ := s.post(t, apiv1connect.QueueServiceListProcedure, body)
		if status != want || header.Get(leaderHeader) != s.leader {
			t.Errorf("%s: got %d, leader %q", body, status, header.Get(leaderHeader))
		}
	}
}

func TestReadsAtLeastAPosition(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	put, err := c.definitions.Apply(t.Context(), &apiv1.ApplyDefinitionRequest{Source: mailDefinition})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.definitions.Get(t.Context(), &apiv1.GetDefinitionRequest{Name: "greet", Read: &apiv1.Read{AtLeast: put.Position}})
	if err != nil || got.Position < put.Position {
		t.Errorf("get: got %v, %v", got, err)
	}
	// A position that is not reached is waited for, up to the deadline.
	ahead := fsm.Position{Index: 1 << 20}.String()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.definitions.Get(ctx, &apiv1.GetDefinitionRequest{Name: "greet", Read: &apiv1.Read{AtLeast: ahead}})
	if got := connect.CodeOf(err); got != connect.CodeDeadlineExceeded {
		t.Errorf("get at a position ahead: got %v, want deadline_exceeded", err)
	}
}

func TestRequestWithoutLengthIsCutOff(t *testing.T) {
	s := serve(t)
	body := io.MultiReader(strings.NewReader(`{"source":"`), bytes.NewReader(bytes.Repeat([]byte("x"), MaxRequestBytes)), strings.NewReader(`"}`))
	resp, err := s.h1.Post(s.url+apiv1connect.DefinitionServiceApplyProcedure, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("got status %d, want 429", resp.StatusCode)
	}
}
