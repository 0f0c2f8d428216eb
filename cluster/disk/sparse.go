package disk

import "io"

// pageSize is the unit in which memory files are kept. Pages that hold only
// zeros cost nothing, so zero-filling a file ahead of its use is free.
const pageSize = 4096

type page [pageSize]byte

// sparse is the content of a file in memory. The zero value is an empty file.
// It is not safe for concurrent use.
type sparse struct {
	pages []*page // nil: all zeros
	size  int64
}

func (s *sparse) readAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	want := len(p)
	p = p[:min(int64(want), s.size-off)]
	for n := 0; n < len(p); {
		i, at := (off+int64(n))/pageSize, (off+int64(n))%pageSize
		part := p[n:min(len(p), n+int(pageSize-at))]
		if s.pages[i] == nil {
			clear(part)
		} else {
			copy(part, s.pages[i][at:])
		}
		n += len(part)
	}
	if len(p) < want {
		return len(p), io.EOF
	}
	return len(p), nil
}

func (s *sparse) writeAt(p []byte, off int64) {
	s.grow(off + int64(len(p)))
	for n := 0; n < len(p); {
		i, at := (off+int64(n))/pageSize, (off+int64(n))%pageSize
		if s.pages[i] == nil {
			s.pages[i] = new(page)
		}
		n += copy(s.pages[i][at:], p[n:])
	}
}

func (s *sparse) zero(from, to int64) {
	s.grow(to)
	for from < to {
		i, at := from/pageSize, from%pageSize
		n := min(to-from, pageSize-at)
		switch {
		case n == pageSize:
			s.pages[i] = nil
		case s.pages[i] != nil:
			clear(s.pages[i][at : at+n])
		}
		from += n
	}
}

func (s *sparse) grow(size int64) {
	if size <= s.size {
		return
	}
	for need := int((size + pageSize - 1) / pageSize); len(s.pages) < need; {
		s.pages = append(s.pages, nil)
	}
	s.size = size
}

// allocated is the memory held, in bytes.
func (s *sparse) allocated() (n uint64) {
	for _, p := range s.pages {
		if p != nil {
			n += pageSize
		}
	}
	return n
}

func (s *sparse) clone() *sparse {
	c := &sparse{pages: make([]*page, len(s.pages)), size: s.size}
	for i, p := range s.pages {
		if p != nil {
			cp := *p
			c.pages[i] = &cp
		}
	}
	return c
}
