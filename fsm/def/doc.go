// Package def is the definition language: it reads Conductor's JSON for
// workflows and task types, says everything that is wrong with it at once, and
// compiles it into the Plan that executions run on.
//
// A plan needs no look-up in the definition any more: which step follows which,
// what a JOIN waits for and what belongs to a loop are numbers in its nodes.
// Registered task types, other definitions and versions are not looked at here;
// they are resolved where they are used.
//
// Everything is a pure function of the bytes given: the same definition gives the
// same plan and the same problems in the same order on every node. All functions
// may be called concurrently, and keep parts of the bytes they are given, so
// nobody may write to those afterwards.
package def
