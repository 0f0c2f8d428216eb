package fsm

import (
	"slices"
	"testing"
)

// loadRow makes a State of one row.
func loadRow(id TableID, row []byte) (*State, error) {
	s := New(0)
	err := s.load(id, slices.Values([][]byte{row}))
	return s, err
}

// FuzzLoad wants a row of a snapshot that decodes to be written as what decodes to the
// same, and any other to be refused without a panic.
func FuzzLoad(f *testing.F) {
	c := newChaos(f, 7, &coverage{done: map[string]int{}, refused: map[Code]int{}})
	c.setUp()
	for range 150 {
		c.step()
	}
	const seeds = 4 // of each table
	for table := range c.a.View().Tables() {
		n := 0
		for row := range table.Rows {
			if n++; n <= seeds {
				f.Add(byte(table.ID), slices.Clone(row[1:]))
			}
		}
	}
	f.Fuzz(func(t *testing.T, id byte, rest []byte) {
		row := append([]byte{id}, rest...)
		first, err := loadRow(TableID(id), row)
		if err != nil {
			return
		}
		for table := range first.View().Tables() {
			if table.ID != TableID(id) {
				continue
			}
			for once := range table.Rows {
				again, err := loadRow(table.ID, once)
				if err != nil || again.Digest() != first.Digest() {
					t.Fatalf("table %d: %x is written as %x: %v", id, row, once, err)
				}
			}
		}
	})
}
