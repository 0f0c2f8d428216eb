// Package proto holds the schemas of the public API, below api, and the Go code
// generated from them, below gen. The generated code is checked in; cmd/protogen
// writes it.
package proto
