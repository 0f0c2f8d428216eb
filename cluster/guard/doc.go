// Package guard stands between the stores of a node and its life.
//
// A node that could not store something must not go on as if it had: other
// nodes count on its answers. So the first storage error of any call latches,
// and the process ends with a code that tells its supervisor what happened. A
// failed sync is never tried again, because a kernel may answer the second one
// with success after it dropped the data. A call that hangs is worse, since
// heartbeats go on while nothing is written: the watchdog ends the process
// with a signal no stuck thread can hold up.
package guard
