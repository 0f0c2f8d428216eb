package pawl

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// downFirst and downMost bound how long a node is passed over after it failed:
	// the first is less than an election. The last is long, since the other nodes do as
	// well, and the address that a leader gives may be of no use from here.
	downFirst = 250 * time.Millisecond
	downMost  = 30 * time.Second
	// maxNodes bounds what is learned from answers; a cluster has fewer nodes.
	maxNodes = 64
)

// node is one address of the cluster.
type node struct {
	scheme, host string

	// Guarded by the mutex of nodes.
	downUntil time.Time
	wait      backoff
}

// nodes knows the addresses of the cluster and which of them to ask.
type nodes struct {
	scheme string // of addresses that the cluster names

	mu     sync.Mutex
	all    []*node
	byHost map[string]*node
	leader *node // nil when unknown
	at     int   // of the node to ask while no leader is known
}

func newNodes(addrs []string) (*nodes, error) {
	ns := &nodes{byHost: make(map[string]*node)}
	for _, a := range addrs {
		if a = strings.TrimSpace(a); a == "" {
			continue
		}
		scheme, host, given := strings.Cut(a, "://")
		if !given {
			scheme, host = "http", a
		}
		host = strings.TrimSuffix(host, "/")
		if scheme != "http" && scheme != "https" || host == "" || strings.Contains(host, "/") {
			return nil, fmt.Errorf("address %q: want host:port, http://host:port or https://host:port", a)
		}
		if ns.scheme == "" {
			ns.scheme = scheme
		}
		ns.addLocked(scheme, host)
	}
	if len(ns.all) == 0 {
		return nil, errors.New("no address of the cluster is given")
	}
	return ns, nil
}

func (ns *nodes) addLocked(scheme, host string) *node {
	if n := ns.byHost[host]; n != nil {
		return n
	}
	if len(ns.all) >= maxNodes {
		return nil
	}
	n := &node{scheme: scheme, host: host, wait: backoff{first: downFirst, most: downMost}}
	ns.all = append(ns.all, n)
	ns.byHost[host] = n
	return n
}

// pick gives the node to ask: the leader unless it failed lately, else one that did
// not fail, else the one whose time is up first.
func (ns *nodes) pick() *node {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	now := time.Now()
	if ns.leader != nil && !now.Before(ns.leader.downUntil) {
		return ns.leader
	}
	best := ns.all[ns.at]
	for i := range ns.all {
		n := ns.all[(ns.at+i)%len(ns.all)]
		if !now.Before(n.downUntil) {
			ns.at = (ns.at + i) % len(ns.all)
			return n
		}
		if n.downUntil.Before(best.downUntil) {
			best = n
		}
	}
	return best
}

// heard notes that n answered and named leader, which may be empty.
func (ns *nodes) heard(n *node, leader string) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	n.wait.reset()
	n.downUntil = time.Time{}
	if leader != "" {
		if l := ns.addLocked(ns.scheme, leader); l != nil {
			ns.leader = l
		}
	}
}

// failed notes that n did not answer, or is about to stop.
func (ns *nodes) failed(n *node) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	n.downUntil = time.Now().Add(n.wait.next(0))
	ns.leaderlessLocked(n)
}

// leaderless notes that n does not lead.
func (ns *nodes) leaderless(n *node) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.leaderlessLocked(n)
}

func (ns *nodes) leaderlessLocked(n *node) {
	if ns.leader == n {
		ns.leader = nil
	}
}
