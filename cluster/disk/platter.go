package disk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
)

// Keep says what a crash leaves of the things that were not synced.
type Keep uint8

// What may be left after a crash.
const (
	// KeepAll is a killed process: the kernel still has everything.
	KeepAll Keep = iota
	// KeepNone is a power cut at the worst moment: only what was synced.
	KeepNone
	// KeepSome is any other power cut: sectors and names not synced are kept
	// or lost by chance.
	KeepSome
)

// sector is the unit in which a disk keeps or loses data.
const sector = 512

// Step is one change that reached a FaultFS, in order. Reads are not steps.
type Step struct {
	Op   Op
	Name string // the file or folder; for a rename the old name
	To   string // the new name of a rename
	Off  int64  // of a write or zero
	End  int64  // of a zero
	Data []byte // of a write
	Flag int    // of an open

	node int // which content, whatever its name is by now
}

// String shows a step on one line, without its data.
func (s Step) String() string {
	switch s.Op {
	case OpWrite:
		return fmt.Sprintf("write %s [%d,%d)", s.Name, s.Off, s.Off+int64(len(s.Data)))
	case OpZero:
		return fmt.Sprintf("zero %s [%d,%d)", s.Name, s.Off, s.End)
	case OpRename:
		return fmt.Sprintf("rename %s to %s", s.Name, s.To)
	}
	return fmt.Sprintf("%s %s", s.Op, s.Name)
}

// platter models what is durable. It sees each step and knows, for each
// content and each folder, which of them a sync has covered. Making a folder
// counts as durable at once.
type platter struct {
	nodes map[int]*platterNode
	live  map[string]int // names as the running system sees them
	names map[string]int // names as they are on disk
	dirs  map[string]bool
	moves []Step // opens that created, renames and removals, not synced
}

type platterNode struct {
	synced  *sparse
	pending []Step // writes and zeros since the last sync
}

func newPlatter() *platter {
	return &platter{nodes: map[int]*platterNode{}, live: map[string]int{}, names: map[string]int{}, dirs: map[string]bool{".": true}}
}

func (p *platter) clone() *platter {
	c := newPlatter()
	for id, n := range p.nodes {
		c.nodes[id] = &platterNode{synced: n.synced.clone(), pending: append([]Step(nil), n.pending...)}
	}
	for name, id := range p.live {
		c.live[name] = id
	}
	for name, id := range p.names {
		c.names[name] = id
	}
	for name := range p.dirs {
		c.dirs[name] = true
	}
	c.moves = append(c.moves, p.moves...)
	return c
}

// load takes over what is in an FS, as durable.
func (p *platter) load(fsys FS, folder string, nextNode *int) error {
	entries, err := fsys.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		if e.IsDir() {
			p.dirs[name] = true
			if err := p.load(fsys, name, nextNode); err != nil {
				return err
			}
			continue
		}
		data, err := ReadFile(fsys, name)
		if err != nil {
			return err
		}
		*nextNode++
		content := &sparse{}
		content.writeAt(data, 0)
		p.nodes[*nextNode] = &platterNode{synced: content}
		p.live[name], p.names[name] = *nextNode, *nextNode
	}
	return nil
}

// do takes in one step.
func (p *platter) do(s Step) {
	switch s.Op {
	case OpOpen:
		if _, ok := p.nodes[s.node]; !ok {
			p.nodes[s.node] = &platterNode{synced: &sparse{}}
			p.live[s.Name] = s.node
			p.moves = append(p.moves, s)
		}
		if s.Flag&os.O_TRUNC != 0 {
			n := p.nodes[s.node]
			n.pending = append(n.pending, s)
		}
	case OpWrite, OpZero:
		n := p.nodes[s.node]
		n.pending = append(n.pending, s)
	case OpSync:
		n := p.nodes[s.node]
		for _, w := range n.pending {
			w.applyTo(n.synced)
		}
		n.pending = nil
	case OpRename:
		delete(p.live, s.Name)
		p.live[s.To] = s.node
		p.moves = append(p.moves, s)
	case OpRemove:
		delete(p.live, s.Name)
		delete(p.dirs, s.Name)
		p.moves = append(p.moves, s)
	case OpMkdir:
		for d := s.Name; d != "."; d = parent(d) {
			p.dirs[d] = true
		}
	case OpSyncDir:
		p.syncDir(s.Name)
	}
}

func (p *platter) syncDir(folder string) {
	rest := p.moves[:0]
	for _, s := range p.moves {
		if parent(s.Name) == folder || s.Op == OpRename && parent(s.To) == folder {
			s.moveIn(p.names)
		} else {
			rest = append(rest, s)
		}
	}
	p.moves = rest
}

func (s Step) applyTo(c *sparse) {
	switch s.Op {
	case OpOpen:
		*c = sparse{}
	case OpWrite:
		c.writeAt(s.Data, s.Off)
	case OpZero:
		c.zero(s.Off, s.End)
	}
}

func (s Step) moveIn(names map[string]int) {
	switch s.Op {
	case OpOpen:
		names[s.Name] = s.node
	case OpRename:
		delete(names, s.Name)
		names[s.To] = s.node
	case OpRemove:
		delete(names, s.Name)
	}
}

// image is what a crash leaves. Names change in order, as in a journal, so by
// chance a prefix of the changes survives; sectors survive each by itself.
func (p *platter) image(keep Keep, rng *rand.Rand) *MemFS {
	names := map[string]int{}
	for name, id := range p.names {
		names[name] = id
	}
	survive := 0
	switch keep {
	case KeepAll:
		survive = len(p.moves)
	case KeepSome:
		survive = rng.IntN(len(p.moves) + 1)
	}
	for _, s := range p.moves[:survive] {
		s.moveIn(names)
	}
	m := Mem()
	for d := range p.dirs {
		m.dirs[d] = true
	}
	for _, name := range sortedNames(names) {
		n := p.nodes[names[name]]
		content := n.synced.clone()
		for _, s := range n.pending {
			s.survive(content, keep, rng)
		}
		m.files[name] = &memNode{sparse: *content}
	}
	return m
}

// survive applies what a crash keeps of a step that was not synced.
func (s Step) survive(c *sparse, keep Keep, rng *rand.Rand) {
	switch {
	case keep == KeepNone:
	case keep == KeepAll:
		s.applyTo(c)
	case s.Op != OpWrite:
		if rng.IntN(2) == 0 {
			s.applyTo(c)
		}
	default:
		// Often all or nothing of a write, sometimes any of its sectors.
		mode := rng.IntN(4)
		for from := s.Off; from < s.Off+int64(len(s.Data)); {
			to := min((from/sector+1)*sector, s.Off+int64(len(s.Data)))
			if mode == 0 || mode > 1 && rng.IntN(2) == 0 {
				c.writeAt(s.Data[from-s.Off:to-s.Off], from)
			}
			from = to
		}
	}
}

// restore makes an FS hold exactly what the image holds.
func restore(fsys FS, image *MemFS) error {
	for _, d := range sortedNames(image.dirs) {
		if err := fsys.MkdirAll(d, FolderPerm); err != nil {
			return err
		}
	}
	if err := removeOthers(fsys, ".", image); err != nil {
		return err
	}
	for _, name := range sortedNames(image.files) {
		want, err := ReadFile(image, name)
		if err != nil {
			return err
		}
		if have, err := ReadFile(fsys, name); err == nil && bytes.Equal(have, want) {
			continue
		}
		if err := overwrite(fsys, name, want); err != nil {
			return err
		}
	}
	return nil
}

func overwrite(fsys FS, name string, data []byte) error {
	f, err := fsys.Open(name, createNew, FilePerm)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	return f.Close()
}

func removeOthers(fsys FS, folder string, image *MemFS) error {
	entries, err := fsys.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		if e.IsDir() {
			if err := removeOthers(fsys, name, image); err != nil {
				return err
			}
			if image.dirs[name] {
				continue
			}
		} else if image.files[name] != nil {
			continue
		}
		if err := fsys.Remove(name); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
