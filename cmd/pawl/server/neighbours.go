package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pawlhq/pawl/cluster/guard"
	"github.com/pawlhq/pawl/cluster/peer"
)

// neighbourTime bounds the look at the addresses to join: long enough for one that
// answers, short enough not to hold up a start beside hosts that are gone.
const neighbourTime = time.Second

// ForeignError says that a node was started among the nodes of another cluster: its
// folder stands in the wrong place.
type ForeignError struct {
	Own, Other string // ids of the clusters
	Addr       string // of a node of the other
}

// Error names both clusters.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("the data folder belongs to cluster %s, but the nodes to join belong to another: %s at %s; is it the folder of another node?",
		e.Own, e.Other, e.Addr)
}

// ExitCode is that of a wrong cluster.
func (e *ForeignError) ExitCode() int { return guard.ExitIdentity }

// prober asks an address who listens there.
type prober interface {
	Probe(ctx context.Context, addr string) (peer.Hello, error)
}

// checkNeighbours refuses to go on when every seed that answers belongs to another
// cluster. A single stale address is no reason: it would stop a healthy node.
func checkNeighbours(ctx context.Context, net prober, own string, seeds []string) error {
	ctx, cancel := context.WithTimeout(ctx, neighbourTime)
	defer cancel()
	hellos := make([]peer.Hello, len(seeds))
	var asking sync.WaitGroup
	for i, addr := range seeds {
		asking.Go(func() {
			if h, err := net.Probe(ctx, addr); err == nil {
				hellos[i] = h
			}
		})
	}
	asking.Wait()
	var foreign *ForeignError
	for i, h := range hellos {
		switch {
		case h.ClusterID == own:
			return nil
		case h.ClusterID != "":
			foreign = &ForeignError{Own: own, Other: h.ClusterID, Addr: seeds[i]}
		}
	}
	if foreign != nil {
		return foreign
	}
	return nil
}
