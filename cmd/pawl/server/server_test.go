package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
	pawl "github.com/pawlhq/pawl/sdk"
)

// testLimit bounds one test of a whole node.
const testLimit = 30 * time.Second

// running is one node that a test runs.
type running struct {
	node  *Node
	stop  context.CancelFunc
	ended chan error
	exits chan int // what the process would have ended with
}

func startNode(t *testing.T, ctx context.Context, fsys disk.FS) *running {
	t.Helper()
	r := &running{ended: make(chan error, 1), exits: make(chan int, 1)}
	cfg := Defaults()
	cfg.Listen, cfg.PeerListen, cfg.Expect, cfg.Gossip, cfg.Profile = "127.0.0.1:0", "127.0.0.1:0", 1, false, "fast"
	running, stop := context.WithCancel(ctx)
	r.stop = stop
	var err error
	r.node, err = Open(ctx, cfg, Options{
		Log: slog.New(slog.DiscardHandler), FS: fsys, Quick: true,
		Exit: func(code int, _ string) {
			select {
			case r.exits <- code:
			default:
			}
			select {} // an exit does not return
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.node.Run(running) }()
	t.Cleanup(stop)
	return r
}

func define(ctx context.Context, c *pawl.Client, i int) error {
	return c.Apply(ctx, fmt.Appendf(nil, `{"name":"d%d","version":1,"schemaVersion":2,"tasks":[{"name":"t","taskReferenceName":"r","type":"SIMPLE"}]}`, i))
}

func TestFullDiskEndsTheNodeWithItsOwnCode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	full := disk.Faulty(disk.Mem(), disk.Plan{})
	r := startNode(t, ctx, full)
	c, err := pawl.Dial(ctx, pawl.WithAddresses(r.node.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := define(ctx, c, 0); err != nil {
		t.Fatal(err)
	}
	full.Add(disk.Rule{Ops: disk.OpWrite, Do: disk.Full})
	short, cancelShort := context.WithTimeout(ctx, time.Second)
	defer cancelShort()
	if err := define(short, c, 1); err == nil {
		t.Error("a change was acknowledged on a full disk")
	}
	select {
	case code := <-r.exits:
		if code != 73 {
			t.Errorf("exit code %d, want 73", code)
		}
	case <-ctx.Done():
		t.Fatal("the node goes on")
	}
}

func TestNodeStopsInPeaceAndIsReadyNoMore(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	r := startNode(t, ctx, nil)
	c, err := pawl.Dial(ctx, pawl.WithAddresses(r.node.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := define(ctx, c, 0); err != nil {
		t.Fatal(err)
	}
	if !r.node.Leads() {
		t.Error("the only node does not lead")
	}
	held := holdCall(t, r.node.Addr())
	r.stop()
	if err := await(ctx, func() bool { return readiness(r.node) == http.StatusServiceUnavailable }); err != nil {
		t.Fatalf("the node stays ready: %v", err)
	}
	if !r.node.Leads() {
		t.Error("leadership was given up before readiness")
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
	if err := <-r.ended; err != nil || len(r.exits) > 0 {
		t.Errorf("the node ended with %v and %d exits", err, len(r.exits))
	}
	if res, err := http.Get("http://" + r.node.Addr() + "/readyz"); err == nil {
		res.Body.Close()
		t.Errorf("a stopped node answers %s", res.Status)
	}
}

// holdCall begins a call and does not end it, so that a stop has to wait for it.
func holdCall(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: pawl\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		apiv1connect.ExecutionServiceStartProcedure)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// readiness asks the node itself: its listener may be closed by now.
func readiness(n *Node) int {
	answer := httptest.NewRecorder()
	n.api.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	return answer.Code
}

func await(ctx context.Context, cond func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
