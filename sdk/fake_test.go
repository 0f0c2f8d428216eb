package pawl

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
)

// network connects clients with nodes inside one test.
type network struct {
	mu    sync.Mutex
	nodes map[string]*fakeNode
	dials []string
}

var errRefused = errors.New("connection refused")

func newNetwork() *network { return &network{nodes: make(map[string]*fakeNode)} }

func (n *network) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	node := n.nodes[addr]
	n.dials = append(n.dials, addr)
	n.mu.Unlock()
	if node == nil {
		return nil, errRefused
	}
	client, server := net.Pipe()
	select {
	case node.accept <- server:
		return client, nil
	case <-node.closed:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fakeNode is a node whose answers a test scripts. What is not scripted is
// unimplemented, but for Status.
type fakeNode struct {
	apiv1connect.UnimplementedExecutionServiceHandler
	apiv1connect.UnimplementedWorkerServiceHandler
	apiv1connect.UnimplementedClusterServiceHandler

	addr   string
	accept chan net.Conn
	closed chan struct{}
	server *http.Server
	net    *network

	mu     sync.Mutex
	leader string
	conns  []net.Conn
	starts []*apiv1.StartExecutionRequest
	waits  []*apiv1.WaitExecutionRequest

	start    func(n int, req *apiv1.StartExecutionRequest) (*apiv1.StartExecutionResponse, error)
	wait     func(n int, req *apiv1.WaitExecutionRequest) (*apiv1.WaitExecutionResponse, error)
	transfer func() error
	work     func(ctx context.Context, conn *connect.BidiStream[apiv1.WorkRequest, apiv1.WorkResponse]) error
	session  func(ctx context.Context, conn *connect.BidiStream[apiv1.SessionRequest, apiv1.SessionResponse]) error
}

// node adds a node that is up; script is called before it serves.
func (n *network) node(t *testing.T, addr string, script func(*fakeNode)) *fakeNode {
	t.Helper()
	f := &fakeNode{addr: addr, net: n, accept: make(chan net.Conn), closed: make(chan struct{})}
	if script != nil {
		script(f)
	}
	mux := http.NewServeMux()
	mux.Handle(apiv1connect.NewExecutionServiceHandler(executionHandler{f}))
	mux.Handle(apiv1connect.NewWorkerServiceHandler(workHandler{f}))
	mux.Handle(apiv1connect.NewClusterServiceHandler(clusterHandler{f}))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	f.server = &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l := f.leading(); l != "" {
			w.Header().Set(leaderHeader, l)
		}
		mux.ServeHTTP(w, r)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = f.server.Serve(f) })
	n.mu.Lock()
	n.nodes[addr] = f
	n.mu.Unlock()
	t.Cleanup(func() {
		f.down()
		serving.Wait()
	})
	return f
}

// Accept gives the next connection of a client.
func (f *fakeNode) Accept() (net.Conn, error) {
	select {
	case c := <-f.accept:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.conns = append(f.conns, c)
		return c, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept; down has done it.
func (f *fakeNode) Close() error { return nil }

// Addr is not looked at.
func (f *fakeNode) Addr() net.Addr { return &net.TCPAddr{} }

// down kills the node.
func (f *fakeNode) down() {
	f.net.mu.Lock()
	up := f.net.nodes[f.addr] == f
	if up {
		delete(f.net.nodes, f.addr)
	}
	f.net.mu.Unlock()
	if up {
		close(f.closed)
		_ = f.server.Close()
		f.cut()
	}
}

// cut breaks all connections; the node stays up.
func (f *fakeNode) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.conns = nil
}

func (f *fakeNode) leading() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leader
}

func (f *fakeNode) lead(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leader = addr
}

func (f *fakeNode) started() []*apiv1.StartExecutionRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.starts)
}

type executionHandler struct{ *fakeNode }

func (f executionHandler) Start(_ context.Context, req *apiv1.StartExecutionRequest) (*apiv1.StartExecutionResponse, error) {
	f.mu.Lock()
	f.starts = append(f.starts, req)
	n := len(f.starts)
	f.mu.Unlock()
	if f.start == nil {
		return &apiv1.StartExecutionResponse{ExecutionId: "x1", Position: "p1"}, nil
	}
	return f.start(n, req)
}

func (f executionHandler) Wait(_ context.Context, req *apiv1.WaitExecutionRequest) (*apiv1.WaitExecutionResponse, error) {
	f.mu.Lock()
	f.waits = append(f.waits, req)
	n := len(f.waits)
	f.mu.Unlock()
	return f.wait(n, req)
}

func (f executionHandler) Session(ctx context.Context, conn *connect.BidiStream[apiv1.SessionRequest, apiv1.SessionResponse]) error {
	return f.session(ctx, conn)
}

type workHandler struct{ *fakeNode }

func (f workHandler) Work(ctx context.Context, conn *connect.BidiStream[apiv1.WorkRequest, apiv1.WorkResponse]) error {
	return f.work(ctx, conn)
}

type clusterHandler struct{ *fakeNode }

func (clusterHandler) Status(context.Context, *apiv1.ClusterStatusRequest) (*apiv1.ClusterStatusResponse, error) {
	return &apiv1.ClusterStatusResponse{}, nil
}

func (f clusterHandler) Transfer(context.Context, *apiv1.TransferLeadershipRequest) (*apiv1.TransferLeadershipResponse, error) {
	return &apiv1.TransferLeadershipResponse{}, f.transfer()
}

// apiError is an error as nodes send it.
func apiError(code connect.Code, d *apiv1.ErrorDetail) error {
	e := connect.NewError(code, errors.New(d.Message))
	detail, err := connect.NewErrorDetail(d)
	if err != nil {
		panic(err)
	}
	e.AddDetail(detail)
	return e
}

func dialNodes(t *testing.T, n *network, addrs ...string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), WithAddresses(addrs...), WithDialer(n.dial))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// pass lets the time of a bubble pass.
func pass(d time.Duration) { <-time.After(d) }

// bubble runs a test in time of its own, which ends what the test began.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// desk is the node's side of workers' streams: it hands out tasks, answers reports and
// remembers what it heard.
type desk struct {
	mu      sync.Mutex
	streams int
	hellos  []*apiv1.Hello
	credit  []int32 // by message with credit
	reports []*apiv1.Report
	// answer says how a report is answered: nil for done, silent for not at all.
	answer func(r *apiv1.Report) *apiv1.ErrorDetail
	// push has messages for the worker.
	push chan *apiv1.WorkResponse
	// parting is a task that crosses the worker's end of the stream.
	parting *apiv1.LeasedTask
}

// silent keeps a report from being answered.
var silent = &apiv1.ErrorDetail{}

func newDesk() *desk { return &desk{push: make(chan *apiv1.WorkResponse, 16)} }

func (d *desk) work(ctx context.Context, conn *connect.BidiStream[apiv1.WorkRequest, apiv1.WorkResponse]) error {
	d.mu.Lock()
	d.streams++
	d.mu.Unlock()
	var sending sync.Mutex
	send := func(m *apiv1.WorkResponse) {
		sending.Lock()
		defer sending.Unlock()
		_ = conn.Send(m) // the worker may have gone
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var pushing sync.WaitGroup
	defer pushing.Wait()
	defer cancel()
	pushing.Go(func() {
		for {
			select {
			case m := <-d.push:
				send(m)
			case <-ctx.Done():
				return
			}
		}
	})
	send(nil)
	for {
		m, err := conn.Receive()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return err
			}
			if d.parting != nil {
				send(&apiv1.WorkResponse{Tasks: []*apiv1.LeasedTask{d.parting}})
				d.parting = nil
			}
			return nil
		}
		if results := d.hear(m); len(results) > 0 {
			send(&apiv1.WorkResponse{Results: results})
		}
	}
}

func (d *desk) hear(m *apiv1.WorkRequest) []*apiv1.ReportResult {
	d.mu.Lock()
	defer d.mu.Unlock()
	reports := m.Reports
	if m.Hello != nil {
		d.hellos = append(d.hellos, m.Hello)
		for _, h := range m.Hello.Held {
			reports = append(reports, &apiv1.Report{Call: h.Call, TaskId: h.TaskId, Lease: h.Lease,
				What: &apiv1.Report_Extend{Extend: &apiv1.ExtendReport{}}})
		}
	}
	if m.Credit > 0 {
		d.credit = append(d.credit, m.Credit)
	}
	d.reports = append(d.reports, reports...)
	var results []*apiv1.ReportResult
	for _, r := range reports {
		res := &apiv1.ReportResult{Call: r.Call, Position: "p"}
		if d.answer != nil {
			res.Error = d.answer(r)
		}
		if res.Error != silent {
			results = append(results, res)
		}
	}
	return results
}

func (d *desk) heard() []*apiv1.Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.reports)
}

func (d *desk) hand(tasks ...*apiv1.LeasedTask) { d.push <- &apiv1.WorkResponse{Tasks: tasks} }

func leasedTask(id, kind, input string) *apiv1.LeasedTask {
	return &apiv1.LeasedTask{TaskId: id, ExecutionId: "x1", Lease: 7, Type: kind, Ref: "ref-" + kind, Input: input, ResponseMillis: 2000}
}
