package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/pawlhq/pawl/cluster/peer"
	"github.com/pawlhq/pawl/fsm"
)

const (
	// lookForPeers is how often a node without a cluster looks for others.
	lookForPeers = 500 * time.Millisecond
	// probeTime bounds one look at an address, and promiseTime one question.
	probeTime   = 2 * time.Second
	promiseTime = 5 * time.Second
	// maxCandidates bounds the nodes that are kept in mind while looking.
	maxCandidates = 64
)

// network is what founding a cluster asks of the peer network.
type network interface {
	links
	Hold(ids ...fsm.NodeID) error
	Probe(ctx context.Context, addr string) (peer.Hello, error)
	Await(ctx context.Context, id fsm.NodeID) error
	Admit(clusterID string, genesis [16]byte, incarnation uint8) error
	Book() *peer.Book
}

// founder brings a node into its first cluster. A fixed number of nodes find each
// other; the one with the lowest id asks all of them to promise that no other founds a
// cluster with them, and only with every promise makes it. A promise is kept for ever,
// so two clusters would need twice as many disks.
type founder struct {
	cfg     Config
	net     network
	log     *slog.Logger
	suggest func() []string
	self    func() Member

	mu       sync.Mutex
	ids      *identities
	founded  chan struct{} // closed once the node belongs to a cluster
	admitted bool
	seen     map[fsm.NodeID]string // where strangers were met
}

// promise asks a node to found a cluster with nobody else.
type promise struct {
	Founder fsm.NodeID
}

// pledge answers it.
type pledge struct {
	Given  bool
	Reason string
	Member Member
}

// genesis is the cluster that a node now belongs to.
type genesis struct {
	Cluster, Genesis [16]byte
	Members          []Member
}

func newFounder(cfg Config, net network, ids *identities, self func() Member, suggest func() []string, log *slog.Logger) *founder {
	f := &founder{
		cfg: cfg, net: net, log: log, ids: ids, self: self, suggest: suggest,
		founded: make(chan struct{}), seen: map[fsm.NodeID]string{}, admitted: ids.id.Admitted,
	}
	if f.admitted {
		close(f.founded)
	}
	net.Handle(peer.Promise, f.pledge)
	net.Handle(peer.Genesis, f.accept)
	return f
}

// isAdmitted reports whether the node belongs to a cluster.
func (f *founder) isAdmitted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.admitted
}

// allows reports whether a node may speak to this one although it is in no cluster.
func (f *founder) allows(id fsm.NodeID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !id.IsZero() && f.ids.id.Promised == id
}

// run returns once the node belongs to a cluster.
func (f *founder) run(ctx context.Context) error {
	tick := time.NewTicker(lookForPeers)
	defer tick.Stop()
	told := false
	for {
		switch err := f.look(ctx); {
		case f.isAdmitted():
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("found the cluster: %w", ctx.Err())
		case err != nil && !told:
			f.log.Info("waiting for the other nodes", "expect", f.cfg.Expect, "err", err)
			told = true
		}
		select {
		case <-tick.C:
		case <-f.founded:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("found the cluster: %w", ctx.Err())
		}
	}
}

// look looks around once, and founds the cluster if that is on this node and possible.
func (f *founder) look(ctx context.Context) error {
	if f.isAdmitted() {
		return nil
	}
	if f.cfg.Expect == 0 {
		return errors.New("no cluster to found: waiting to be admitted to one")
	}
	f.find(ctx)
	group := f.group()
	if len(group) < f.cfg.Expect {
		return fmt.Errorf("%d of %d nodes found", len(group), f.cfg.Expect)
	}
	if err := f.net.Hold(group...); err != nil {
		return err
	}
	if self := f.self().ID; group[0] != self {
		return fmt.Errorf("node %s is to found the cluster", group[0])
	}
	return f.found(ctx, group)
}

// find asks every address it can think of who is there.
func (f *founder) find(ctx context.Context) {
	addrs := append(slices.Clone(f.cfg.Join), f.suggest()...)
	slices.Sort(addrs)
	addrs = slices.Compact(addrs)
	if len(addrs) > maxCandidates {
		addrs = addrs[:maxCandidates]
	}
	var wg sync.WaitGroup
	self := f.self().ID
	for _, a := range addrs {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, probeTime)
			defer cancel()
			h, err := f.net.Probe(ctx, a)
			if err != nil || h.From == self || h.From.IsZero() {
				return
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if h.Genesis != [16]byte{} { // it has a cluster, and does not found another
				delete(f.seen, h.From)
				return
			}
			if len(f.seen) < maxCandidates {
				f.seen[h.From] = a
			}
		})
	}
	wg.Wait()
}

// group is the lowest ids of those that were found, this node's among them, at most as
// many as are expected.
func (f *founder) group() []fsm.NodeID {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := []fsm.NodeID{f.ids.id.Node}
	for id, addr := range f.seen {
		ids = append(ids, id)
		f.net.Book().Suggest(id, addr)
	}
	slices.SortFunc(ids, func(a, b fsm.NodeID) int { return bytes.Compare(a[:], b[:]) })
	return ids[:min(len(ids), f.cfg.Expect)]
}

// found collects the promises and makes the cluster.
func (f *founder) found(ctx context.Context, group []fsm.NodeID) error {
	self := f.self()
	members := []Member{self}
	if p := f.promiseTo(self.ID); !p.Given {
		return errors.New(p.Reason)
	}
	for _, id := range group {
		if id == self.ID {
			continue
		}
		m, err := f.ask(ctx, id)
		if err != nil {
			return fmt.Errorf("promise of %s: %w", id, err)
		}
		members = append(members, m)
	}
	g := genesis{Members: members}
	for _, b := range [][]byte{g.Cluster[:], g.Genesis[:]} {
		if _, err := rand.Read(b); err != nil {
			return fmt.Errorf("make genesis: %w", err)
		}
	}
	if err := f.enter(g); err != nil {
		return err
	}
	f.log.Info("cluster founded", "members", len(members))
	return nil
}

func (f *founder) ask(ctx context.Context, id fsm.NodeID) (Member, error) {
	ctx, cancel := context.WithTimeout(ctx, promiseTime)
	defer cancel()
	if err := f.net.Await(ctx, id); err != nil {
		return Member{}, err
	}
	b, err := pack(promise{Founder: f.self().ID})
	if err != nil {
		return Member{}, err
	}
	if b, err = f.net.Call(ctx, id, peer.Promise, b); err != nil {
		return Member{}, err
	}
	var p pledge
	if err := unpack(b, &p); err != nil {
		return Member{}, err
	}
	if !p.Given {
		return Member{}, errors.New(p.Reason)
	}
	if p.Member.ID != id {
		return Member{}, errShort
	}
	return p.Member, nil
}

// pledge answers a node that wants to found a cluster with this one.
func (f *founder) pledge(_ context.Context, from fsm.NodeID, b []byte) ([]byte, error) {
	var q promise
	if err := unpack(b, &q); err != nil || q.Founder != from {
		return nil, errShort
	}
	return pack(f.promiseTo(from))
}

// promiseTo gives the one promise of this node, durably, or says why not.
func (f *founder) promiseTo(id fsm.NodeID) pledge {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.admitted:
		return pledge{Reason: "it belongs to a cluster"}
	case f.ids.id.Promised == id:
	case !f.ids.id.Promised.IsZero():
		return pledge{Reason: "it promised itself to " + f.ids.id.Promised.String()}
	default:
		f.ids.id.Promised = id
		if err := f.ids.save(); err != nil {
			f.ids.id.Promised = fsm.NodeID{}
			return pledge{Reason: err.Error()}
		}
	}
	return pledge{Given: true, Member: f.self()}
}

// enter makes this node a member of a cluster, durably. The members are stored first:
// a node that knows its genesis knows them.
func (f *founder) enter(g genesis) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.admitted {
		if f.ids.id.Genesis == g.Genesis {
			return nil
		}
		return errors.New("it belongs to another cluster")
	}
	if err := f.ids.saveMembers(g.Members); err != nil {
		return err
	}
	before := f.ids.id
	f.ids.id.Cluster, f.ids.id.Genesis, f.ids.id.Admitted = g.Cluster, g.Genesis, true
	if err := f.ids.save(); err != nil {
		f.ids.id = before
		return err
	}
	f.admitted = true
	close(f.founded)
	return nil
}

// accept takes the genesis from the node that this one promised itself to.
func (f *founder) accept(_ context.Context, from fsm.NodeID, b []byte) ([]byte, error) {
	var g genesis
	if err := unpack(b, &g); err != nil {
		return nil, err
	}
	if !f.isAdmitted() && !f.allows(from) {
		return nil, errors.New("it did not promise itself to this node")
	}
	return nil, f.enter(g)
}

// spread tells the members of the cluster that they are, until each has answered or ctx
// ends. A node that was told already says so without harm.
func (f *founder) spread(ctx context.Context, members []Member) {
	f.mu.Lock()
	id := f.ids.id
	f.mu.Unlock()
	if id.Promised != id.Node {
		return // another node founded the cluster
	}
	b, err := pack(genesis{Cluster: id.Cluster, Genesis: id.Genesis, Members: members})
	if err != nil {
		f.log.Error("genesis not sent", "err", err)
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, m := range members {
		if m.ID != id.Node {
			wg.Go(func() { f.tell(ctx, m.ID, b) })
		}
	}
}

func (f *founder) tell(ctx context.Context, id fsm.NodeID, b []byte) {
	pause := lookForPeers
	for {
		call, cancel := context.WithTimeout(ctx, promiseTime)
		err := f.net.Await(call, id)
		if err == nil {
			_, err = f.net.Call(call, id, peer.Genesis, b)
		}
		cancel()
		var remote *peer.RemoteError
		if err == nil || ctx.Err() != nil {
			return
		}
		if errors.As(err, &remote) {
			f.log.Error("a node does not accept the cluster it promised itself to", "peer", id, "err", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		pause = min(2*pause, time.Minute)
	}
}
