// Package builtin runs what definitions carry as source: JavaScript, jq, and local
// times in named zones.
//
// None of it runs in the machine, and none of it in the process that serves. An
// engine can be made to take gigabytes, and inside one of its own functions it cannot
// be interrupted; so a source is evaluated by a child, the same program started again,
// which has no environment, little memory and one deadline, and which is killed when it
// does not answer. A bad source ends its own evaluation and nothing else. Only results
// go into the log, so neither the engines nor their versions bind the cluster.
//
// A source sees its input and nothing of the world: no files, no network, no host
// object, no console. Its clock stands still at the time that the job carries, its zone
// is UTC, and its random numbers come from the job, so the same job has the same result
// on every node.
//
// Pool keeps the children of a process. A program that wants one calls ServeChild when
// IsChild says that it was started as such. Workers connects a Pool to the queues of
// the machine. Evaluate does in this process what a child does, without its protection:
// for the child itself, and for tests.
package builtin
