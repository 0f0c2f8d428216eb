// Package pawl is the Go client of a Pawl cluster: it starts executions, waits for
// their ends, and works on their tasks.
//
// A Client is made once per process and is safe for concurrent use. It knows some
// nodes of the cluster, finds the leading one from the answers it gets and follows it
// when leadership moves. A node that is down is passed over.
//
// What the package promises about lost answers: every change carries an id that is
// made once per call, so that it is repeated until an answer comes, and happens once.
// Only when the context ends first is the outcome unknown, and the error says so
// (ErrUnknownOutcome). Reports of a Worker are fenced by the lease of their task and
// are repeated until the cluster has taken or refused them.
//
// What it does not promise: a task may be handed out again while an earlier attempt
// still runs, after its lease ran out. The lease of a Task only grows; store it with
// side effects to keep the late attempt out.
//
// Payloads are JSON objects. Types of Go stand for them where the user meets them:
// Definition for executions, Handle for tasks.
package pawl
