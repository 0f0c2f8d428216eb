package cluster

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/pawlhq/pawl/fsm"
)

// A snapshot's stream: magic, version, the index up to which entries are in it, time,
// incarnation and digest of State; then tables, each with its number plus one and its
// rows, a row with its length plus one; 0 ends the rows and the tables.
const (
	streamMagic   = "PAWLSTAT"
	streamVersion = 1
	// streamBuffer joins small rows into pieces worth a checksum.
	streamBuffer = 256 << 10
	// maxRow bounds one row, against lengths that are damaged: a record holds a few
	// payloads of at most one command each.
	maxRow = 64 << 20
)

// writeState writes a View that includes everything up to index.
func writeState(w io.Writer, v fsm.View, index uint64) error {
	b := bufio.NewWriterSize(w, streamBuffer)
	d := v.Digest()
	head := out{[]byte(streamMagic)}
	head.byte(streamVersion)
	head.fixed(index)
	head.fixed(uint64(v.Time()))
	head.byte(v.Incarnation())
	head.fixed(d.Hi)
	head.fixed(d.Lo)
	if _, err := b.Write(head.b); err != nil {
		return err
	}
	num := make([]byte, 0, binary.MaxVarintLen64)
	for t := range v.Tables() {
		if _, err := b.Write(binary.AppendUvarint(num, uint64(t.ID)+1)); err != nil {
			return err
		}
		for row := range t.Rows {
			if _, err := b.Write(binary.AppendUvarint(num, uint64(len(row))+1)); err != nil {
				return err
			}
			if _, err := b.Write(row); err != nil {
				return err
			}
		}
		if err := b.WriteByte(0); err != nil {
			return err
		}
	}
	if err := b.WriteByte(0); err != nil {
		return err
	}
	return b.Flush()
}

// readState reads what writeState wrote. The error wraps fsm.ErrVersion or
// fsm.ErrCorrupt when the stream itself is at fault.
func readState(r io.Reader) (*fsm.State, uint64, error) {
	b := bufio.NewReaderSize(r, streamBuffer)
	head := make([]byte, len(streamMagic)+1+8+8+1+16)
	if _, err := io.ReadFull(b, head); err != nil {
		return nil, 0, fmt.Errorf("read header: %w", err)
	}
	h := in{b: head}
	if string(h.take(len(streamMagic))) != streamMagic {
		return nil, 0, fmt.Errorf("header: %w", fsm.ErrCorrupt)
	}
	if v := h.byte(); v != streamVersion {
		return nil, 0, fmt.Errorf("snapshot version %d: %w", v, fsm.ErrVersion)
	}
	index := h.fixed()
	h.take(9) // time and incarnation are in the rows; here they are for people
	digest := fsm.Digest{Hi: h.fixed(), Lo: h.fixed()}
	t := &tableReader{r: b}
	s, err := fsm.Load(t.tables(), digest)
	if t.err != nil {
		return nil, 0, t.err
	}
	if err != nil {
		return nil, 0, fmt.Errorf("load state: %w", err)
	}
	return s, index, nil
}

// tableReader yields tables and rows; what goes wrong stays in err and ends them.
type tableReader struct {
	r   *bufio.Reader
	err error
}

func (t *tableReader) num() uint64 {
	if t.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(t.r)
	if err != nil {
		t.fail(err)
		return 0
	}
	return n
}

func (t *tableReader) fail(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if t.err == nil {
		t.err = fmt.Errorf("read tables: %w", err)
	}
}

func (t *tableReader) tables() iter.Seq2[fsm.TableID, iter.Seq[[]byte]] {
	return func(yield func(fsm.TableID, iter.Seq[[]byte]) bool) {
		for {
			id := t.num()
			if id == 0 {
				return
			}
			if id > 256 {
				t.fail(fsm.ErrCorrupt)
				return
			}
			if !yield(fsm.TableID(id-1), t.rows) || t.err != nil {
				return
			}
		}
	}
}

// rows yields each row of a table in a buffer of its own.
func (t *tableReader) rows(yield func([]byte) bool) {
	for {
		n := t.num()
		if n == 0 {
			return
		}
		if n > maxRow {
			t.fail(fsm.ErrCorrupt)
			return
		}
		row := make([]byte, n-1)
		if _, err := io.ReadFull(t.r, row); err != nil {
			t.fail(err)
			return
		}
		if !yield(row) {
			return
		}
	}
}
