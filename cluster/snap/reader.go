package snap

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

// reader reads a file from its start to its end and checks all of it.
type reader struct {
	store  *Store
	file   disk.File
	name   string // for errors
	header header

	at     int64 // of the next byte to read
	sum    hash.Hash
	chunks uint32
	raw    uint64
	buf    []byte
	rest   []byte // checked, not yet handed out
	err    error  // io.EOF after the footer
}

// openReader opens a file and reads its header.
func (s *Store) openReader(name string) (*reader, error) {
	r := &reader{store: s, name: s.path(name), sum: sha256.New()}
	err := s.do(func() (err error) {
		if r.file, err = s.fsys.Open(r.name, readOnly, 0); err != nil {
			return err
		}
		if err = r.readHeader(); err != nil {
			err = errors.Join(err, r.file.Close())
		}
		return err
	})
	return r, err
}

// fill reads a piece of the file into the buffer.
func (r *reader) fill(n int) ([]byte, error) {
	if cap(r.buf) < n {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	got, err := r.file.ReadAt(b, r.at)
	switch {
	case got == n:
		return b, nil
	case errors.Is(err, io.EOF):
		return nil, r.damaged("it ends too early")
	}
	return nil, err
}

func (r *reader) damaged(what string) *guard.Damaged {
	return &guard.Damaged{File: r.name, Offset: r.at, What: what}
}

func (r *reader) readHeader() error {
	b, err := r.fill(16)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	n := int64(le.Uint32(b[12:]))
	if string(b[:8]) != fileMagic {
		return r.damaged("it does not begin like a snapshot")
	}
	if n < headerFixed || n > maxHeader {
		return r.damaged("the length of its header makes no sense")
	}
	if b, err = r.fill(int(n)); err != nil {
		return err
	}
	if le.Uint32(b[n-4:]) != crc32.Checksum(b[:n-4], castagnoli) {
		return r.damaged("the checksum of its header does not match")
	}
	if v := le.Uint16(b[8:]); v > fileVersion {
		return &guard.Newer{File: r.name, Version: v, Known: fileVersion}
	}
	if r.header, err = decodeHeader(bytes.Clone(b)); err != nil {
		return r.damaged(err.Error())
	}
	r.at += n
	r.sum.Write(b)
	return nil
}

// next reads one chunk. After the footer it answers io.EOF.
func (r *reader) next() ([]byte, error) {
	b, err := r.fill(4)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	switch le.Uint32(b) {
	case footerMagic:
		return nil, r.footer()
	case chunkMagic:
	default:
		return nil, r.damaged("no chunk begins there")
	}
	if b, err = r.fill(chunkHeader); err != nil {
		return nil, err
	}
	size, stored := le.Uint32(b[16:]), le.Uint32(b[20:])
	if size > maxChunk || stored != size || b[7] != codecRaw || le.Uint32(b[12:]) != r.chunks {
		return nil, r.damaged("the head of a chunk makes no sense")
	}
	if b, err = r.fill(chunkHeader + int(size)); err != nil {
		return nil, err
	}
	if le.Uint32(b[24:]) != chunkCRC(b, b[chunkHeader:]) {
		return nil, r.damaged(fmt.Sprintf("the checksum of chunk %d does not match", r.chunks))
	}
	r.sum.Write(b)
	r.at += int64(len(b))
	r.chunks++
	r.raw += uint64(size)
	return b[chunkHeader:], nil
}

func (r *reader) footer() error {
	b, err := r.fill(footerSize)
	if err != nil {
		return err
	}
	if !bytes.Equal(b, encodeFooter(r.chunks, r.raw, r.sum.Sum(nil))) {
		return r.damaged("its footer does not match what is before it")
	}
	r.at += footerSize
	if size, err := r.file.Size(); err != nil {
		return err
	} else if size != r.at {
		return r.damaged("something follows its footer")
	}
	return io.EOF
}

// Read hands out the stream, each byte after its chunk was checked. The last
// chunk is followed by a check of the whole file: only io.EOF says that all of
// it was good.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.err = r.store.do(func() (err error) {
			r.rest, err = r.next()
			return err
		})
		if r.err != nil && r.err != io.EOF {
			r.store.bad(r.header.term, r.header.index, r.err)
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close ends the use of the file.
func (r *reader) Close() error { return r.file.Close() }

// verify reads a whole file.
func (s *Store) verify(name string) (h header, raw uint64, err error) {
	r, err := s.openReader(name)
	if err != nil {
		return h, 0, err
	}
	for err == nil {
		err = s.do(func() error {
			_, err := r.next()
			return err
		})
	}
	if err == io.EOF {
		err = nil
	}
	return r.header, r.raw, errors.Join(err, r.Close())
}

// do runs a call to the disk under the guard. What is found to be wrong with a
// file is for the caller to judge and does not end the node.
func (s *Store) do(f func() error) error {
	var found error
	err := s.guard.Do(guard.OpSnapshot, func() error {
		err := f()
		var coded interface{ ExitCode() int }
		if err == io.EOF || errors.As(err, &coded) {
			found = err
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return found
}
