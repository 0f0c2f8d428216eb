package stable

import (
	"encoding/binary"
	"os"

	berrors "go.etcd.io/bbolt/errors"
)

// The parts of bbolt's page format that can send it in circles. A page begins
// with id u64, flags u16, count u16, overflow u32; the elements of a leaf are
// flags u32, position u32, key size u32, value size u32; the value of a bucket
// is root u64, sequence u64 and, if the root is 0, a page of its own.
const (
	pageHeader  = 16
	pageLeaf    = 0x02
	pageMeta    = 0x04
	pageFree    = 0x10
	leafElement = 16
	bucketFlag  = 0x01
	bucketHead  = 16

	// maxElements and maxOverflow are far above what one record needs.
	maxElements = 64
	maxOverflow = 64
)

// checkPages looks for pages that cannot be in a file as small as this one.
// There are two buckets and one record, so no page has children and no bucket
// holds another. On a page that says otherwise bbolt recurses, or fills all
// memory, before it finds anything wrong.
func checkPages(data []byte) error {
	size := os.Getpagesize()
	le := binary.LittleEndian
	for at := 0; at+size <= len(data); at += size {
		page := data[at : at+size]
		flags := le.Uint16(page[8:])
		if flags == 0 && at >= 2*size {
			continue // not written yet
		}
		if flags != pageLeaf && flags != pageMeta && flags != pageFree || le.Uint64(page) != uint64(at/size) {
			return berrors.ErrInvalid
		}
		if flags != pageLeaf {
			continue
		}
		if err := checkLeaf(page, data, true); err != nil {
			return err
		}
	}
	return nil
}

// checkLeaf checks a leaf page and the buckets in it, if it may hold any.
func checkLeaf(page, data []byte, buckets bool) error {
	le := binary.LittleEndian
	if len(page) < pageHeader || le.Uint16(page[8:]) != pageLeaf {
		return berrors.ErrInvalid
	}
	count := int(le.Uint16(page[10:]))
	if count > maxElements || le.Uint32(page[12:]) > maxOverflow || len(page) < pageHeader+count*leafElement {
		return berrors.ErrInvalid
	}
	for i := range count {
		at := pageHeader + i*leafElement
		flags := le.Uint32(page[at:])
		from := uint64(at) + uint64(le.Uint32(page[at+4:])) + uint64(le.Uint32(page[at+8:]))
		to := from + uint64(le.Uint32(page[at+12:]))
		switch {
		case flags == 0:
			continue
		case flags != bucketFlag || !buckets || to > uint64(len(page)) || to-from < bucketHead:
			return berrors.ErrInvalid
		}
		inner := page[from+bucketHead : to]
		if root := le.Uint64(page[from:]); root != 0 {
			size := uint64(os.Getpagesize())
			if root > uint64(len(data))/size-1 {
				return berrors.ErrInvalid
			}
			inner = data[root*size : (root+1)*size]
		}
		if err := checkLeaf(inner, data, false); err != nil {
			return err
		}
	}
	return nil
}
