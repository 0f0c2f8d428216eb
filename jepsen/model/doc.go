// Package model is a second, deliberately naive implementation of the workflow
// language, to hold the real one against.
//
// It keeps no counters, indexes or plans. After every operation it looks at all
// records of an execution again and again until nothing changes, and finds what
// comes next by walking the definition. It is slow, and short enough to be
// compared with the description of the language by reading. It imports nothing
// else of this module, so that both cannot share a mistake.
//
// The model covers the worker and system kinds that stay inside the machine, with
// retries, delays, time limits, output cache, and every verb of an execution's life.
// Each verb is whole when it returns: whatever it does to parents and children has
// been done. Templates are limited to dotted paths, whole or within a text; scripts
// are left to a function of the caller, or to an answer that comes later. Queues,
// leases, limits and everything else about who works on what are outside: the
// caller says which record was polled. A reason that begins with ~ is only a part
// of what the language lays down.
//
// [Random] writes definitions in this language. Nothing here may be used by
// several goroutines at once.
package model
