package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlhq/pawl/cmd/pawl/server"
)

type devFlags struct {
	listen, data, profile, logLevel string
	nodes                           int
}

func newDev(g *globals) *cobra.Command {
	var f devFlags
	c := &cobra.Command{
		Use: "dev", Short: "Run a cluster in one process, for development",
		Long: `Run a cluster of real nodes in this process, on loopback only. Without --data it keeps
everything in memory and forgets it at the end. The first node has the address of --listen,
the others the ports above it.`,
		Example: "  pawl dev\n  pawl dev --data ./pawl-data --nodes 1", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return dev(cmd, g, f) },
	}
	c.Flags().StringVar(&f.listen, "listen", env("PAWL_LISTEN", "127.0.0.1:8080"), "address of the first node (PAWL_LISTEN)")
	c.Flags().StringVar(&f.data, "data", os.Getenv("PAWL_DATA"), "folder to keep the data in; memory when empty (PAWL_DATA)")
	c.Flags().IntVar(&f.nodes, "nodes", 3, "1, 3 or 5 nodes")
	c.Flags().StringVar(&f.profile, "profile", env("PAWL_PROFILE", "fast"), "lan, fast or wan: how soon a silent leader is noticed (PAWL_PROFILE)")
	c.Flags().StringVar(&f.logLevel, "log-level", env("PAWL_LOG_LEVEL", devLogLevel), "debug, info, warn or error (PAWL_LOG_LEVEL)")
	return c
}

// devLogLevel is the default: what heals is told, but not while all nodes start or end
// together.
const devLogLevel = "warn"

// calmHandler keeps warnings back while it is calm: nodes that all start, or all end, at
// once miss one another, and that is no news.
type calmHandler struct {
	slog.Handler
	calm func() bool
}

func (h calmHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.Handler.Enabled(ctx, l) && (l >= slog.LevelError || !h.calm())
}

func (h calmHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return calmHandler{h.Handler.WithAttrs(a), h.calm}
}

func (h calmHandler) WithGroup(name string) slog.Handler {
	return calmHandler{h.Handler.WithGroup(name), h.calm}
}

func dev(cmd *cobra.Command, g *globals, f devFlags) error {
	log, err := newLog(cmd, f.logLevel)
	if err != nil {
		return &usageError{err}
	}
	cfgs, err := devConfigs(f)
	if err != nil {
		return err
	}
	began := time.Now()
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	var ready atomic.Bool
	if f.logLevel == devLogLevel {
		log = slog.New(calmHandler{log.Handler(), func() bool { return !ready.Load() || ctx.Err() != nil }})
	}
	nodes, wait := runAll(ctx, cancel, cfgs, log)
	if err := waitReady(ctx, cfgs, nodes); err == nil {
		ready.Store(true)
		tellDev(cmd, g, f, nodes(), time.Since(began))
	}
	return wait()
}

// runAll opens and runs the nodes. Those that found a cluster wait for one another, so
// each runs as soon as it is open. When one ends, the others are asked to.
func runAll(ctx context.Context, cancel func(), cfgs []server.Config, log *slog.Logger) (nodes func() []*server.Node, wait func() error) {
	var mu sync.Mutex
	open := make([]*server.Node, len(cfgs))
	var running sync.WaitGroup
	errs := make([]error, len(cfgs))
	for i, c := range cfgs {
		running.Go(func() {
			defer cancel()
			n, err := server.Open(ctx, c, server.Options{Log: log.With("node", i+1), Version: version, Quick: true})
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					errs[i] = err
				}
				return
			}
			mu.Lock()
			open[i] = n
			mu.Unlock()
			errs[i] = n.Run(ctx)
		})
	}
	nodes = func() []*server.Node {
		mu.Lock()
		defer mu.Unlock()
		var out []*server.Node
		for _, n := range open {
			if n != nil {
				out = append(out, n)
			}
		}
		return out
	}
	wait = func() error {
		running.Wait()
		return errors.Join(errs...)
	}
	return nodes, wait
}

const maxPort = 65535

// devConfigs plans the nodes: client ports from the first upwards, peer ports that are free.
func devConfigs(f devFlags) ([]server.Config, error) {
	if f.nodes != 1 && f.nodes != 3 && f.nodes != 5 {
		return nil, usagef("nodes: %d is not 1, 3 or 5", f.nodes)
	}
	host, port, err := net.SplitHostPort(f.listen)
	if err != nil {
		return nil, usagef("listen: %q is not HOST:PORT", f.listen)
	}
	first, err := strconv.Atoi(port)
	if err != nil || first < 0 || first+f.nodes-1 > maxPort {
		return nil, usagef("listen: %q must have a port that leaves room for %d below %d, or 0", f.listen, f.nodes, maxPort+1)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usagef("listen: %q is not a loopback address; pawl dev serves this machine only", host)
	}
	peers, err := devPeers(f)
	if err != nil {
		return nil, err
	}
	var out []server.Config
	for i := range f.nodes {
		c := server.Defaults()
		c.Listen, c.PeerListen = net.JoinHostPort(host, fmt.Sprint(first+i)), peers[i]
		if first == 0 {
			c.Listen = net.JoinHostPort(host, "0")
		}
		c.Expect, c.Join, c.Gossip = f.nodes, strings.Join(peers, ","), false
		if err := c.Set("profile", f.profile, "--profile or PAWL_PROFILE"); err != nil {
			return nil, &usageError{err}
		}
		if f.data != "" {
			c.Data = filepath.Join(f.data, fmt.Sprintf("n%d", i+1))
		}
		if err := c.Check(); err != nil {
			return nil, &usageError{err}
		}
		out = append(out, c)
	}
	return out, nil
}

// devPeers gives the peer addresses. Nodes that find each other by what they stored
// need the same ones at each start, so with a data folder they are kept there.
func devPeers(f devFlags) ([]string, error) {
	if f.data == "" {
		return freeAddrs(f.nodes)
	}
	name := filepath.Join(f.data, "peers")
	if b, err := os.ReadFile(name); err == nil {
		if peers := strings.Fields(string(b)); len(peers) == f.nodes {
			return peers, nil
		}
		return nil, usagef("nodes: %s was made for %d nodes", f.data, len(strings.Fields(string(b))))
	}
	peers, err := freeAddrs(f.nodes)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return nil, err
	}
	return peers, os.WriteFile(name, []byte(strings.Join(peers, "\n")+"\n"), 0o600)
}

// waitReady waits until every node serves.
func waitReady(ctx context.Context, cfgs []server.Config, nodes func() []*server.Node) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		ready := 0
		for _, n := range nodes() {
			if isReady(ctx, n.Addr()) {
				ready++
			}
		}
		if ready == len(cfgs) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func tellDev(cmd *cobra.Command, g *globals, f devFlags, nodes []*server.Node, took time.Duration) {
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.Addr())
	}
	if g.json() {
		_ = printJSON(cmd, map[string]any{"addresses": addrs, "ready_ms": took.Milliseconds()}) // a closed pipe ends nothing
		return
	}
	where := "in memory"
	if f.data != "" {
		where = "in " + f.data
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d nodes ready in %s, data %s\n  PAWL_ADDR=%s\n", len(nodes), took.Round(time.Millisecond), where, strings.Join(addrs, ","))
	fmt.Fprintf(cmd.OutOrStdout(), "next: pawl definition apply FILE, or pawl cluster status; ^C ends it\n")
	http.DefaultClient.CloseIdleConnections()
}
