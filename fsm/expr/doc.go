// Package expr holds what the state machine computes on user data: raw JSON,
// `${…}` paths and templates, and a small exact subset of JavaScript.
//
// Values stay the bytes they arrived as. A path walks them without decoding, a
// template copies them, and a number keeps every digit it was written with; it
// becomes a float only where it is compared, added up or turned into text.
//
// Everything here is a pure function of its arguments and gives the same bytes
// on every platform: no clock, no randomness, no locale, no iteration over a Go
// map, no recursion without a bound (MaxDepth, MaxPathSteps). Work is charged to a
// Budget. All functions may be called concurrently; parsed paths, templates and
// scripts are immutable.
//
// Functions that take raw JSON expect what Canon accepted. Other bytes never
// make them panic or loop, but the answer is then unspecified.
package expr
