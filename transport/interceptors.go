package transport

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// defaultDeadline is given to calls that bring none: longer than an election.
	defaultDeadline = 10 * time.Second
	// maxWait bounds long polls and every deadline: what a proxy between keeps open.
	maxWait = 60 * time.Second
	// waitSlack lets an answer that took all of maxWait still be sent.
	waitSlack = 5 * time.Second
	// MaxRequestBytes bounds the body of a request: nothing larger fits into a command.
	MaxRequestBytes = fsm.MaxCommandBytes
	// MaxMessageBytes bounds one message of a stream, which may hold a batch of commands.
	MaxMessageBytes = 4 << 20
)

// leaderHeader names the client address of the leading node in every response.
const leaderHeader = "Pawl-Leader"

// edge is the interceptor around every call.
type edge struct {
	cluster Cluster
	log     *slog.Logger
	// patient lists procedures that wait for up to maxWait by design and bound it by a
	// field of their own.
	patient map[string]bool
}

// WrapUnary bounds the call, turns a panic into an error and names the leader.
func (e *edge) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (resp connect.AnyResponse, err error) {
		if req.Spec().IsClient {
			return next(ctx, req)
		}
		defer func() {
			if v := recover(); v != nil {
				resp, err = nil, e.recovered(req.Spec().Procedure, v)
			}
			e.nameLeader(resp, err)
		}()
		if err := decodeFault(req.Any()); err != nil {
			return nil, changeError(err)
		}
		limit := defaultDeadline
		if _, given := ctx.Deadline(); given || e.patient[req.Spec().Procedure] {
			limit = maxWait + waitSlack
		}
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return next(ctx, req)
	}
}

func (e *edge) nameLeader(resp connect.AnyResponse, err error) {
	addr := e.cluster.LeaderAddr()
	if addr == "" {
		return
	}
	if ce, ok := err.(*connect.Error); ok {
		ce.Meta().Set(leaderHeader, addr)
	} else if err == nil && resp != nil {
		resp.Header().Set(leaderHeader, addr)
	}
}

// WrapStreamingClient does nothing: the server makes no calls.
func (e *edge) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler turns a panic into an error and names the leader.
func (e *edge) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = e.recovered(conn.Spec().Procedure, v)
			}
		}()
		if addr := e.cluster.LeaderAddr(); addr != "" {
			conn.ResponseHeader().Set(leaderHeader, addr)
		}
		return next(ctx, checkedConn{conn})
	}
}

func (e *edge) recovered(procedure string, v any) error {
	if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		panic(v)
	}
	e.log.Error("panic in handler", "procedure", procedure, "panic", v, "stack", string(debug.Stack()))
	return changeError(&panicError{v})
}

// checkedConn refuses messages that did not decode.
type checkedConn struct{ connect.StreamingHandlerConn }

// Receive gives the next message of the client.
func (c checkedConn) Receive(message any) error {
	if err := c.StreamingHandlerConn.Receive(message); err != nil {
		return err
	}
	if err := decodeFault(message); err != nil {
		return changeError(err)
	}
	return nil
}

// limitBody refuses a request that announces a larger body than fits, before it is
// read and with an error that says what is allowed. Bodies without a length are cut
// off while they are read.
func limitBody(next http.Handler, streams map[string]bool) http.Handler {
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if streams[r.URL.Path] || r.ContentLength <= MaxRequestBytes {
			next.ServeHTTP(w, r)
			return
		}
		f := Describe(&fsm.Rejection{Code: fsm.TooLarge, Message: "the request has " +
			strconv.FormatInt(r.ContentLength, 10) + " bytes; at most " + strconv.Itoa(MaxRequestBytes) + " are allowed"})
		if strings.HasPrefix(r.URL.Path, "/pawl.") && writer.IsSupported(r) {
			_ = writer.Write(w, r, f.connectError()) // the client has gone: nobody to tell
			return
		}
		http.Error(w, f.Message, f.HTTP)
	})
}
