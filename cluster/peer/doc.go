// Package peer is the network between the nodes of one cluster.
//
// Every connection is TLS 1.3 with a certificate on both sides and begins with
// one Hello each way. A connection that got through is with the process it was
// meant for: the node id is proven by its key, the cluster, genesis and
// incarnation agree, and no second process with the same id is alive. An
// address proves nothing; it is only where to try.
//
// What runs on the connections:
//
//   - Call, Cast and Handle carry small messages over one link a pair of nodes.
//     An error says whether the request can have had an effect (ErrSent) or
//     certainly had none (ErrNotSent). Nothing blocks on a slow peer: without
//     room a call fails at once.
//   - Stream gives raft its connections, with node ids for addresses.
//   - Transport makes of two such streams a raft.Transport that keeps
//     heartbeats apart and answers them without touching raft's state.
//   - Probe asks an address who listens there.
//
// The package knows no membership. Book holds what is known about each id, and
// Hold says which peers to keep a link with.
package peer
