// Package cluster makes one machine of several nodes: it takes commands to the log,
// applies what is committed, and answers.
//
// Open builds the parts of a node and forms or rejoins its cluster, Run drives them,
// Close stops them. Every node can take a command (Proposer), answer a read (Reads)
// and follow what is applied (Journal); the node that leads does the rest.
//
// # What is promised
//
// An outcome is given only after this node, or the leader on its behalf, has applied
// the command. An error for which fsm.Definite is true proves that the command never
// was and never will be applied; any other error leaves it open, and asking again
// with the same request id is safe. A linearizable read includes everything that was
// acknowledged before it began; no clock is trusted for that. Cluster time never goes
// back and never stands still while a node leads.
//
// # What is used of raft
//
// Only the log: an entry is proposed, its place is seen when it is stored, its fate is
// seen when something is applied at or behind that place. Futures only tell what was
// refused before it reached the log. Leadership counts from the first applied entry of
// its term, and is confirmed for reads by asking a majority afresh.
package cluster
