// Package query reads the search language: conditions on named fields, joined by AND
// and OR, and free text. It knows no records; package fsm gives fields their values.
// It is pure: the same text gives the same tree on every node.
package query
