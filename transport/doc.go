// Package transport serves the public API: Connect, gRPC and plain HTTP on one port,
// over HTTP/1.1 and HTTP/2 with or without TLS.
//
// It carries and converts; it decides nothing. A change becomes a command, goes to the
// Proposer and is answered with what the machine said. A read is answered from a View.
// Any node may be asked: changes are forwarded behind the Proposer, and how fresh a
// read is depends on what it asks for, not on where it is asked.
//
// An answer to a change means that it is durable on a majority of nodes and applied. An
// error says in its detail whether the change has surely not happened; Describe is the
// one place that decides how an error is shown.
package transport
