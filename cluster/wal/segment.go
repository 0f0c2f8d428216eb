package wal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

// The layout of a segment header. The rest up to the checksum is zero.
//
//	 0 magic · 8 version u16 · 12 group u32 · 16 cluster id · 32 node id
//	48 first index u64 · 56 number u64 · 64 salt u64 · 72 previous u32
//	4092 crc u32 of all before
const (
	segmentHeader  = 4096
	segmentVersion = 1
	segmentMagic   = "PWALSEG1"

	tempPrefix  = "tmp-"
	sparePrefix = "spare-"
	suffix      = ".wal"
)

// segment is one file of the log.
type segment struct {
	name     string // below the log's folder
	file     disk.File
	size     int64 // of the file: records end before it
	number   uint64
	first    uint64 // index of the next entry when it was begun
	salt     uint64
	previous uint32 // header crc of the record before its first
	used     int64  // end of its records; owned by the log's writer, and its mu
}

func segmentName(first, number uint64) string {
	return fmt.Sprintf("%020d-%08x%s", first, number, suffix)
}

// parseName splits the name of a segment.
func parseName(name string) (first, number uint64, ok bool) {
	base, found := strings.CutSuffix(name, suffix)
	index, num, cut := strings.Cut(base, "-")
	if !found || !cut || len(index) != 20 || len(num) < 8 {
		return 0, 0, false
	}
	first, err1 := strconv.ParseUint(index, 10, 64)
	number, err2 := strconv.ParseUint(num, 16, 64)
	return first, number, err1 == nil && err2 == nil && segmentName(first, number) == name
}

func (s *segment) header(o *Options) []byte {
	b := make([]byte, segmentHeader)
	le := binary.LittleEndian
	copy(b, segmentMagic)
	le.PutUint16(b[8:], segmentVersion)
	le.PutUint32(b[12:], o.Group)
	copy(b[16:], o.ClusterID[:])
	copy(b[32:], o.NodeID[:])
	le.PutUint64(b[48:], s.first)
	le.PutUint64(b[56:], s.number)
	le.PutUint64(b[64:], s.salt)
	le.PutUint32(b[72:], s.previous)
	le.PutUint32(b[segmentHeader-4:], crc32.Checksum(b[:segmentHeader-4], castagnoli))
	return b
}

// readHeader fills in what the file's header says. The error is a
// *guard.Damaged, *guard.Foreign or *guard.Newer, or one of reading.
func (s *segment) readHeader(o *Options) error {
	b := make([]byte, segmentHeader)
	if n, err := s.file.ReadAt(b, 0); n < len(b) {
		if errors.Is(err, io.EOF) {
			return s.damaged(o, 0, "it is shorter than its header")
		}
		return err
	}
	le := binary.LittleEndian
	if string(b[:8]) != segmentMagic {
		return s.damaged(o, 0, "it does not begin like a log segment")
	}
	if le.Uint32(b[segmentHeader-4:]) != crc32.Checksum(b[:segmentHeader-4], castagnoli) {
		return s.damaged(o, 0, "the checksum of its header does not match")
	}
	if v := le.Uint16(b[8:]); v > segmentVersion {
		return &guard.Newer{File: o.path(s.name), Version: v, Known: segmentVersion}
	}
	switch {
	case !bytes.Equal(b[16:32], o.ClusterID[:]):
		return &guard.Foreign{File: o.path(s.name), What: fmt.Sprintf("it was written in cluster %x", b[16:32])}
	case !bytes.Equal(b[32:48], o.NodeID[:]):
		return &guard.Foreign{File: o.path(s.name), What: fmt.Sprintf("it was written by node %x", b[32:48])}
	case le.Uint32(b[12:]) != o.Group:
		return &guard.Foreign{File: o.path(s.name), What: fmt.Sprintf("it was written for group %d", le.Uint32(b[12:]))}
	case le.Uint64(b[48:]) != s.first || le.Uint64(b[56:]) != s.number:
		return s.damaged(o, 0, "its header does not match its name")
	}
	s.salt, s.previous = le.Uint64(b[64:]), le.Uint32(b[72:])
	return nil
}

func (s *segment) damaged(o *Options, offset int64, what string) *guard.Damaged {
	return &guard.Damaged{File: o.path(s.name), Offset: offset, What: what}
}

// readRecord reads the record of an entry and verifies all of it.
func (s *segment) readRecord(o *Options, index uint64, at loc) (record, error) {
	b := make([]byte, recordHeader+int(at.length))
	if n, err := s.file.ReadAt(b, int64(at.offset)); n < len(b) {
		return record{}, err
	}
	h, ok := parseHeader(b, s.salt)
	payload := b[recordHeader:]
	switch {
	case !ok || h.index != index || h.length != at.length:
		return record{}, s.damaged(o, int64(at.offset), fmt.Sprintf("the header of entry %d cannot be read", index))
	case crc32.Checksum(payload, castagnoli) != h.payloadCRC:
		return record{}, s.damaged(o, int64(at.offset), fmt.Sprintf("the checksum of entry %d does not match", index))
	}
	return h.record(payload), nil
}

// createFile makes a file of zeros, synced, under a temporary name.
func (l *Log) createFile(size int64) (disk.File, string, error) {
	name := tempPrefix + strconv.FormatUint(l.spares.serial.Add(1), 16)
	f, err := l.fsys.Open(l.opts.path(name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, disk.FilePerm)
	if err != nil {
		return nil, "", err
	}
	for from := int64(0); from < size && err == nil; from += zeroStep {
		if err = f.Zero(from, min(from+zeroStep, size)); err == nil {
			err = f.Sync()
		}
	}
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("fill a new segment: %w", err), f.Close())
	}
	return f, name, nil
}

// begin puts the next segment in place, from a spare if there is one that is
// large enough. When it returns, the header and the name are durable.
func (l *Log) begin(first, number uint64, previous uint32, need int64) (*segment, error) {
	size := max(l.opts.SegmentBytes, segmentHeader+need+recordHeader)
	f, from, err := l.takeFile(size)
	if err != nil {
		return nil, err
	}
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s := &segment{
		name: segmentName(first, number), file: f, size: size, number: number, first: first,
		salt: binary.LittleEndian.Uint64(salt[:]), previous: previous, used: segmentHeader,
	}
	if _, err = f.WriteAt(s.header(&l.opts), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.fsys.Rename(l.opts.path(from), l.opts.path(s.name))
	}
	if err == nil {
		err = l.fsys.SyncDir(l.opts.Dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin segment %s: %w", s.name, err), f.Close())
	}
	return s, nil
}

func (l *Log) takeFile(size int64) (disk.File, string, error) {
	if size == l.opts.SegmentBytes {
		if name := l.spares.take(); name != "" {
			f, err := l.fsys.Open(l.opts.path(name), os.O_RDWR, disk.FilePerm)
			return f, name, err
		}
	}
	l.spares.missed.Add(1)
	return l.createFile(size)
}

// path is a name below the log's folder, as seen from the data folder.
func (o *Options) path(name string) string { return path.Join(o.Dir, name) }
