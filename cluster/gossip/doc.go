// Package gossip finds nodes. It spreads, by memberlist, where each node says
// it can be reached, and calls back with what it hears.
//
// What it tells is hearsay. A node may be told wrong addresses, or of nodes
// that are not; so nothing but the choice of addresses to try may follow from
// it, and a cluster whose links are up does not need it. It never says who is
// a member, who votes or who leads.
//
// Packets go by UDP. Streams, which memberlist needs for the full exchange on
// joining, go over the connections of peers, so that one port serves both.
package gossip
