package pawl

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

const (
	// maxCallTime bounds the repetition of a call whose context has no end. The
	// cluster remembers request ids for ten minutes: a repetition must come well
	// before, or it could happen twice.
	maxCallTime = 5 * time.Minute
	// tryTime bounds one try: as long as a node holds a call while there is no leader.
	tryTime = 10 * time.Second
	// waitSlack is added to the time that a long poll asks for.
	waitSlack = 5 * time.Second
	// pauseFirst and pauseMost bound the pauses between tries.
	pauseFirst = 5 * time.Millisecond
	pauseMost  = time.Second
)

// leaderHeader names the client address of the leading node in every answer.
const leaderHeader = "Pawl-Leader"

// targetKey is the context key of the node that a request goes to.
type targetKey struct{}

// router sends each request to the node that its context names.
type router struct{ client *http.Client }

// Do sends the request.
func (r *router) Do(req *http.Request) (*http.Response, error) {
	n, ok := req.Context().Value(targetKey{}).(*node)
	if !ok {
		return nil, errors.New("request without a node")
	}
	u := *req.URL
	u.Scheme, u.Host = n.scheme, n.host
	req.URL, req.Host = &u, n.host
	return r.client.Do(req)
}

// caller is the interceptor around every call: it picks the node, repeats what may be
// repeated and learns who leads.
type caller struct{ nodes *nodes }

// traits says how a call may be treated.
type traits struct {
	change     bool          // it changes something, so that its outcome matters
	repeatable bool          // a second try cannot make it happen twice
	limit      time.Duration // of one try
	id         protoreflect.FieldDescriptor
}

func traitsOf(req connect.AnyRequest) traits {
	t := traits{change: true, limit: tryTime}
	switch m := req.Any().(type) {
	case *apiv1.PollTasksRequest:
		// A lost answer costs the response timeout of its tasks, no more.
		t.change, t.repeatable = false, true
		t.limit = time.Duration(m.TimeoutMillis)*time.Millisecond + waitSlack
	case *apiv1.WaitExecutionRequest:
		t.limit = waitTime + waitSlack
		if m.TimeoutMillis > 0 {
			t.limit = time.Duration(m.TimeoutMillis)*time.Millisecond + waitSlack
		}
	case *apiv1.StartAndWaitRequest:
		t.limit = waitTime + waitSlack
		if m.TimeoutMillis > 0 {
			t.limit = time.Duration(m.TimeoutMillis)*time.Millisecond + waitSlack
		}
	}
	if req.Spec().IdempotencyLevel == connect.IdempotencyNoSideEffects {
		t.change, t.repeatable = false, true
	}
	if m, ok := req.Any().(proto.Message); ok {
		if f := m.ProtoReflect().Descriptor().Fields().ByName("request_id"); f != nil {
			t.id, t.repeatable = f, true
		}
	}
	return t
}

// name gives the request an id unless it has one, and returns what takes it out again,
// so that the caller's message can be used for another call.
func (t *traits) name(req connect.AnyRequest) (forget func()) {
	m, ok := req.Any().(proto.Message)
	if !ok || t.id == nil {
		return func() {}
	}
	r := m.ProtoReflect()
	if r.Get(t.id).String() != "" {
		return func() {}
	}
	r.Set(t.id, protoreflect.ValueOfString(rand.Text()))
	return func() { r.Clear(t.id) }
}

// WrapUnary repeats the call until it is answered or its context ends.
func (c *caller) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		t := traitsOf(req)
		defer t.name(req)()
		ctx, cancel := context.WithTimeout(ctx, maxCallTime)
		defer cancel()
		pause := backoff{first: pauseFirst, most: pauseMost}
		unknown := false
		for {
			resp, e := c.try(ctx, &t, next, req)
			if e == nil {
				return resp, nil
			}
			unknown = unknown || !e.Definite
			if ctx.Err() != nil {
				return nil, gaveUp(ctx, e, unknown)
			}
			if !e.passes() || !e.Definite && !t.repeatable {
				return nil, e
			}
			if sleep(ctx, pause.next(e.RetryAfter)) != nil {
				return nil, gaveUp(ctx, e, unknown)
			}
		}
	}
}

// try asks one node once.
func (c *caller) try(ctx context.Context, t *traits, next connect.UnaryFunc, req connect.AnyRequest) (connect.AnyResponse, *Error) {
	n := c.nodes.pick()
	once, cancel := context.WithTimeout(context.WithValue(ctx, targetKey{}, n), t.limit)
	defer cancel()
	resp, err := next(once, req)
	if err == nil {
		c.nodes.heard(n, resp.Header().Get(leaderHeader))
		return resp, nil
	}
	e := c.note(n, err, ctx.Err() != nil)
	if !t.change {
		e.Definite = true
	}
	return nil, e
}

// note classifies err and remembers what it tells about n. own says that the caller
// ended the call, which tells nothing.
func (c *caller) note(n *node, err error, own bool) *Error {
	e := fault(err)
	leader := ""
	var ce *connect.Error
	if errors.As(err, &ce) && connect.IsWireError(err) {
		leader = ce.Meta().Get(leaderHeader)
		if d := detailOf(ce); d != nil && d.LeaderAddress != "" {
			leader = d.LeaderAddress
		}
		c.nodes.heard(n, leader)
	}
	switch e.Code {
	case "draining", "unavailable":
		c.nodes.failed(n)
	case "not_leader", "no_leader":
		if leader == "" || leader == n.host {
			c.nodes.leaderless(n)
		}
	case codeUnreachable:
		if !own {
			c.nodes.failed(n)
		}
	}
	return e
}

// WrapStreamingClient sends a stream to one node; whoever holds it opens another.
func (c *caller) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		n := c.nodes.pick()
		conn := next(context.WithValue(ctx, targetKey{}, n), spec)
		// The transport looks at the context only while it waits for the answer to
		// begin; after that a stream ends by closing what is read from.
		context.AfterFunc(ctx, func() { _ = conn.CloseResponse() })
		return &stream{StreamingClientConn: conn, ctx: ctx, caller: c, node: n}
	}
}

// WrapStreamingHandler does nothing: a client handles no calls.
func (c *caller) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// stream is one stream to one node.
type stream struct {
	connect.StreamingClientConn
	ctx    context.Context // of the call: tells whether its end was the caller's wish
	caller *caller
	node   *node
	heard  bool // by the one goroutine that receives
}

// Receive gives the next message of the node.
func (s *stream) Receive(message any) error {
	err := s.StreamingClientConn.Receive(message)
	switch {
	case err == nil:
		if !s.heard {
			s.heard = true
			s.caller.nodes.heard(s.node, s.ResponseHeader().Get(leaderHeader))
		}
		if m, ok := message.(interface{ GetGoElsewhere() *apiv1.GoElsewhere }); ok && m.GetGoElsewhere() != nil {
			s.caller.nodes.heard(s.node, m.GetGoElsewhere().LeaderAddress)
			s.caller.nodes.failed(s.node)
		}
		return nil
	case regularEnd(err):
		return io.EOF
	}
	return s.caller.note(s.node, err, s.ctx.Err() != nil)
}

// regularEnd tells the end of a stream that the node closed from a connection that
// broke.
func regularEnd(err error) bool {
	var ce *connect.Error
	return errors.Is(err, io.EOF) && (!errors.As(err, &ce) || ce.Code() == connect.CodeUnknown)
}
