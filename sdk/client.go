package pawl

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
)

const (
	// defaultAddr is where a cluster on this machine listens.
	defaultAddr = "127.0.0.1:8080"
	// dialTime bounds the making of one connection: a host that is gone does not
	// refuse, it is silent.
	dialTime = 3 * time.Second
	// pingAfter and pingTime find out that a node has stopped answering: streams of
	// workers are silent while there is no work.
	pingAfter = 5 * time.Second
	pingTime  = 5 * time.Second
	// Receive windows: a burst of tasks has to fit without a round trip.
	streamWindow     = 4 << 20
	connectionWindow = 16 << 20
	// maxMessage bounds one message of a node.
	maxMessage = 64 << 20
)

// Client speaks with a cluster. It is made by Dial, once per process, and is safe for
// concurrent use.
type Client struct {
	nodes     *nodes
	transport *http.Transport
	log       *slog.Logger

	definitions apiv1connect.DefinitionServiceClient
	executions  apiv1connect.ExecutionServiceClient
	tasks       apiv1connect.TaskServiceClient
	workers     apiv1connect.WorkerServiceClient
	queues      apiv1connect.QueueServiceClient
	settings    apiv1connect.SettingServiceClient
	cluster     apiv1connect.ClusterServiceClient
}

// Option configures a Client.
type Option func(*options)

type options struct {
	addrs []string
	tls   *tls.Config
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	log   *slog.Logger
}

// WithAddresses names nodes of the cluster as host:port or as http:// or https:// with
// host:port; one that answers is enough to find the leader. Without it the comma list
// in PAWL_ADDR holds, and without that 127.0.0.1:8080.
func WithAddresses(addrs ...string) Option {
	return func(o *options) { o.addrs = addrs }
}

// WithTLS sets what connections to https:// addresses use.
func WithTLS(c *tls.Config) Option { return func(o *options) { o.tls = c } }

// WithDialer makes connections in another way than by TCP.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(o *options) { o.dial = dial }
}

// WithLogger takes what heals by itself, such as broken streams. Without it nothing
// is logged.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.log = l } }

// Dial gives a client after one node has answered, which it waits for until ctx ends.
// ctx does not bound the life of the client.
func Dial(ctx context.Context, opts ...Option) (*Client, error) {
	c, err := newClient(opts)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if err := c.locate(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("dial: %w", err)
	}
	return c, nil
}

func newClient(opts []Option) (*Client, error) {
	o := options{dial: (&net.Dialer{Timeout: dialTime}).DialContext, log: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		opt(&o)
	}
	if len(o.addrs) == 0 {
		o.addrs = strings.Split(os.Getenv("PAWL_ADDR"), ",")
		if o.addrs[0] == "" && len(o.addrs) == 1 {
			o.addrs = []string{defaultAddr}
		}
	}
	ns, err := newNodes(o.addrs)
	if err != nil {
		return nil, err
	}
	c := &Client{nodes: ns, log: o.log, transport: newTransport(&o)}
	c.connect()
	return c, nil
}

func newTransport(o *options) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols:       protocols,
		TLSClientConfig: o.tls,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := o.dial(ctx, network, addr)
			if err != nil {
				return nil, &dialError{err}
			}
			return conn, nil
		},
		HTTP2: &http.HTTP2Config{
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingTime,
			MaxReceiveBufferPerStream:     streamWindow,
			MaxReceiveBufferPerConnection: connectionWindow,
		},
	}
}

func (c *Client) connect() {
	const base = "http://pawl" // the router puts the node's address in its place
	via := &router{client: &http.Client{Transport: c.transport}}
	opts := connect.WithClientOptions(
		connect.WithInterceptors(&caller{nodes: c.nodes}),
		connect.WithReadMaxBytes(maxMessage),
	)
	c.definitions = apiv1connect.NewDefinitionServiceClient(via, base, opts)
	c.executions = apiv1connect.NewExecutionServiceClient(via, base, opts)
	c.tasks = apiv1connect.NewTaskServiceClient(via, base, opts)
	c.workers = apiv1connect.NewWorkerServiceClient(via, base, opts)
	c.queues = apiv1connect.NewQueueServiceClient(via, base, opts)
	c.settings = apiv1connect.NewSettingServiceClient(via, base, opts)
	c.cluster = apiv1connect.NewClusterServiceClient(via, base, opts)
}

// locate waits until a node answers; its answer names the leader if there is one.
func (c *Client) locate(ctx context.Context) error {
	_, err := c.cluster.Status(ctx, &apiv1.ClusterStatusRequest{})
	return err
}

// Close lets go of idle connections. Calls under way go on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Definitions gives the raw service. The raw services follow the leader, repeat what
// may be repeated and fail with *Error, as everything here does. A request without a
// request id is given one for the time of the call, so that a message must not be
// used by two calls at once.
func (c *Client) Definitions() apiv1connect.DefinitionServiceClient { return c.definitions }

// Executions gives the raw service; see Definitions.
func (c *Client) Executions() apiv1connect.ExecutionServiceClient { return c.executions }

// Tasks gives the raw service; see Definitions.
func (c *Client) Tasks() apiv1connect.TaskServiceClient { return c.tasks }

// Workers gives the raw service; see Definitions. Most use a Worker.
func (c *Client) Workers() apiv1connect.WorkerServiceClient { return c.workers }

// Queues gives the raw service; see Definitions.
func (c *Client) Queues() apiv1connect.QueueServiceClient { return c.queues }

// Settings gives the raw service for secrets and variables; see Definitions.
func (c *Client) Settings() apiv1connect.SettingServiceClient { return c.settings }

// Cluster gives the raw service; see Definitions.
func (c *Client) Cluster() apiv1connect.ClusterServiceClient { return c.cluster }

// Apply registers one JSON document: a workflow definition when it has tasks, a task
// type otherwise. Registering the same document again is a success; another document
// of the same name and version is ErrAlreadyExists.
func (c *Client) Apply(ctx context.Context, source []byte) error {
	_, err := c.definitions.Apply(ctx, &apiv1.ApplyDefinitionRequest{Source: string(source)})
	if err != nil {
		return fmt.Errorf("apply definition: %w", err)
	}
	return nil
}
