package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
)

const (
	// drainTime is what calls under way are given when the node stops. A change takes
	// milliseconds; clients of streams need time to connect elsewhere.
	drainTime = 5 * time.Second
	// headerTime bounds how long a client may take to send its headers.
	headerTime = 10 * time.Second
	// idleTime closes connections that nobody uses.
	idleTime = 2 * time.Minute
	// maxStreams bounds the calls of one HTTP/2 connection.
	maxStreams = 4096
	// Receive windows: a batch of reports has to fit without a round trip.
	streamWindow     = 4 << 20
	connectionWindow = 16 << 20
	frameSize        = 256 << 10
	// compressFrom is the size from which unary answers are compressed for clients
	// that take it; below, it costs more than it saves.
	compressFrom = 16 << 10
	// neverCompress keeps streams uncompressed: their messages are small and many.
	neverCompress = 1 << 30
)

// Server serves the public API. Its methods are safe for concurrent use.
type Server struct {
	deps         Deps
	proposeAsync AsyncProposer // nil when the Proposer offers none
	waiters      *waiters
	mux          *http.ServeMux
	handler      http.Handler

	drainOnce sync.Once
	draining  chan struct{} // closed when the node is about to stop
	// background counts what outlives the call that began it; each is bounded by
	// defaultDeadline.
	background sync.WaitGroup
	trials     chan struct{} // a token for each test call
	handling   handling
}

// New gives a server that is ready to serve. It starts nothing.
func New(d Deps) *Server {
	s := &Server{deps: d, waiters: newWaiters(d.Views), mux: http.NewServeMux(), draining: make(chan struct{}),
		trials: make(chan struct{}, maxTrials)}
	s.proposeAsync, _ = d.Proposer.(AsyncProposer)
	if d.After == nil {
		s.deps.After = time.After
	}
	streams := map[string]bool{
		apiv1connect.WorkerServiceWorkProcedure:       true,
		apiv1connect.ExecutionServiceSessionProcedure: true,
	}
	s.routes()
	s.handler = http.NewCrossOriginProtection().Handler(limitBody(s.mux, streams))
	return s
}

func (s *Server) routes() {
	common := append(jsonCodecs(), connect.WithInterceptors(&edge{
		cluster: s.deps.Cluster,
		log:     s.deps.Log,
		patient: map[string]bool{
			apiv1connect.ExecutionServiceWaitProcedure:         true,
			apiv1connect.ExecutionServiceStartAndWaitProcedure: true,
			apiv1connect.TaskServicePollProcedure:              true,
		},
	}))
	unary := connect.WithHandlerOptions(slices.Concat(common, []connect.HandlerOption{
		connect.WithReadMaxBytes(MaxRequestBytes), connect.WithCompressMinBytes(compressFrom)})...)
	stream := connect.WithHandlerOptions(slices.Concat(common, []connect.HandlerOption{
		connect.WithReadMaxBytes(MaxMessageBytes), connect.WithCompressMinBytes(neverCompress)})...)

	s.mux.Handle(apiv1connect.NewDefinitionServiceHandler(&definitions{s}, unary))
	path, executionHandler := apiv1connect.NewExecutionServiceHandler(&executions{s}, unary)
	s.mux.Handle(path, executionHandler)
	_, streamHandler := apiv1connect.NewExecutionServiceHandler(&executions{s}, stream)
	s.mux.Handle(apiv1connect.ExecutionServiceSessionProcedure, streamHandler)
	s.mux.Handle(apiv1connect.ExecutionServiceWatchProcedure, streamHandler)
	s.mux.Handle(apiv1connect.NewTaskServiceHandler(&tasks{s}, unary))
	s.mux.Handle(apiv1connect.NewWorkerServiceHandler(&workers{s}, stream))
	s.mux.Handle(apiv1connect.NewQueueServiceHandler(&queues{s}, unary))
	s.mux.Handle(apiv1connect.NewClusterServiceHandler(&cluster{s}, unary))
	s.mux.Handle(apiv1connect.NewSettingServiceHandler(&settings{s}, unary))
	s.mux.Handle(grpchealth.NewHandler(health{s}))
	s.mux.HandleFunc("GET /livez", s.livez)
	s.mux.HandleFunc("GET /readyz", s.readyz)
}

// Mount serves further paths, as http.ServeMux.Handle. It is called before serving
// begins. What is mounted stands behind the same limits as the API.
func (s *Server) Mount(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// Handler serves the API without a listener, for tests and for servers of others. Run
// has to be running for waits to be woken.
func (s *Server) Handler() http.Handler { return s.handler }

// Run wakes those who wait for executions, until ctx ends. Serve runs it too: call one
// of them, once.
func (s *Server) Run(ctx context.Context) error { return s.waiters.run(ctx, s.deps.Events, s.deps.Log) }

// Drain announces that the node is about to stop: readiness goes off, streams are told
// to go elsewhere, long polls are answered, new streams are refused. Calls under way
// go on. It returns at once and may be called more than once.
func (s *Server) Drain() { s.drainOnce.Do(func() { close(s.draining) }) }

func (s *Server) isDraining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// Serve serves on ln until ctx ends; then it drains, waits for calls under way up to
// drainTime and closes. It gives nil after a stop that was asked for. TLS is the
// listener's business; HTTP/2 without TLS is spoken on any.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	calls, stopCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCalls()
	server := &http.Server{
		Handler:           s.handling.count(s.handler),
		Protocols:         protocols,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		BaseContext:       func(net.Listener) context.Context { return calls },
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReadFrameSize:              frameSize,
			MaxReceiveBufferPerStream:     streamWindow,
			MaxReceiveBufferPerConnection: connectionWindow,
		},
	}
	failed := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { failed <- server.Serve(ln) })
	running.Go(func() { _ = s.Run(calls) }) // ends with calls and for no other reason

	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed:
	}
	s.Drain()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		s.deps.Log.Debug("calls cut off at stop", "err", err)
	}
	stopCalls()
	_ = server.Close()
	running.Wait()
	s.handling.wait() // they begin what is in the background
	s.background.Wait()
	if cause != nil && !errors.Is(cause, http.ErrServerClosed) {
		return fmt.Errorf("serve clients on %s: %w", ln.Addr(), cause)
	}
	return nil
}

// handling counts the calls under way: http.Server.Close does not wait for them.
type handling struct {
	mu    sync.Mutex
	ended bool // takes no more
	calls sync.WaitGroup
}

func (h *handling) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		if h.ended {
			h.mu.Unlock()
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.calls.Add(1)
		h.mu.Unlock()
		defer h.calls.Done()
		next.ServeHTTP(w, r)
	})
}

func (h *handling) wait() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.calls.Wait()
}
