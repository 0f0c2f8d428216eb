// Package sdktest runs real nodes of Pawl inside a test, with time that skips.
//
// Start gives a Cluster of one, three or five nodes on loopback, each with a data
// folder of its own. They are the nodes of the program, not a model of them: what
// passes here has been through the log, the state machine and the wire.
//
// Cluster time goes on by itself, as it does in production, and Advance skips it: a
// retry in an hour takes some milliseconds. What is due on the way is fired in order.
// Only the cluster skips. Workers and clients live in real time: a handler that runs
// while an hour is skipped has been silent for that hour, and its lease is lost if its
// response timeout is shorter. Elections and connections take real time as well.
//
// The faults are those of production: a node that dies (Kill, Restart), and an answer
// that does not arrive (LoseNextCompletion). Cut connections are those of
// Cluster.Client, so the workers under test use that client.
//
// The methods of a Cluster are called from the goroutine of the test, because they end
// it when the cluster does not answer; Kill, Restart, Leader and LoseNextCompletion may
// be called from others as well.
package sdktest
