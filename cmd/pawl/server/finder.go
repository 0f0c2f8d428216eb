package server

import (
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/pawlhq/pawl/cluster/gossip"
	"github.com/pawlhq/pawl/cluster/peer"
)

// finder suggests addresses of peers that gossip has heard of. A node that cannot
// gossip goes on with the addresses that it was given.
type finder struct {
	log *slog.Logger
	cfg Config

	mu     sync.Mutex
	gossip *gossip.Gossip
	addrs  []string
}

// maxSuggested bounds the addresses remembered: more than any cluster has nodes.
const maxSuggested = 32

// connected starts the gossip once the node has its identity and its network.
func (f *finder) connected(n *peer.Net, self peer.Identity) {
	if !f.cfg.Gossip {
		return
	}
	host, port, err := net.SplitHostPort(n.Addr().String())
	number, err2 := strconv.Atoi(port)
	if err != nil || err2 != nil {
		f.log.Warn("gossip is off: the peer address has no port", "addr", n.Addr())
		return
	}
	g, err := gossip.Start(gossip.Config{
		Bind: host, Port: number, Label: self.ClusterID, Seeds: f.cfg.Seeds(), Log: f.log,
		Meta:    gossip.Meta{Node: self.Node, Incarnation: self.Incarnation, Peer: n.Addr().String()},
		Streams: n.Stream(peer.ClassGossip),
		OnPeer: func(m gossip.Meta) {
			n.Book().Suggest(m.Node, m.Peer)
			f.heard(m.Peer)
		},
	})
	if err != nil {
		f.log.Warn("gossip is off", "err", err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gossip = g
}

func (f *finder) heard(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.addrs) < maxSuggested && !slices.Contains(f.addrs, addr) {
		f.addrs = append(f.addrs, addr)
	}
}

// suggest gives the addresses heard of.
func (f *finder) suggest() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.addrs)
}

func (f *finder) stop() {
	f.mu.Lock()
	g := f.gossip
	f.gossip = nil
	f.mu.Unlock()
	if g == nil {
		return
	}
	if err := g.Stop(); err != nil {
		f.log.Debug("gossip stopped", "err", err)
	}
}
