package stable

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"

	"github.com/pawlhq/pawl/cluster/guard"
)

// All values are stored as one record, so that none of them can be lost by
// itself without a trace: magic, a u16 version, the values in order of their
// keys, each key and value behind its u16 length, and a crc32c of all that.
const (
	valuesMagic   = "PAWLSTB1"
	valuesVersion = 1
	valuesHead    = len(valuesMagic) + 2
)

// values are the wrapped values by key.
type values map[string][]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers the key too, so that a value cannot turn up under another.
func checksum(key string, value []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, value)
}

// with returns a copy that holds the value as well.
func (v values) with(key string, value []byte) (values, error) {
	if len(key) > math.MaxUint16 || len(value) > math.MaxUint16-crc32.Size {
		return nil, fmt.Errorf("store %q: a value of %d bytes is too long", key, len(value))
	}
	c := maps.Clone(v)
	c[key] = binary.LittleEndian.AppendUint32(slices.Clone(value), checksum(key, value))
	return c, nil
}

// get unwraps a value.
func (v values) get(key, file string) ([]byte, error) {
	b, ok := v[key]
	if !ok {
		return nil, errNotFound
	}
	n := len(b) - crc32.Size
	if n < 0 || binary.LittleEndian.Uint32(b[n:]) != checksum(key, b[:n]) {
		return nil, damagedValue(key, file)
	}
	return slices.Clone(b[:n]), nil
}

func damagedValue(key, file string) error {
	return &guard.Damaged{File: file, Offset: -1, What: fmt.Sprintf("the value of %s is not what was stored", key)}
}

func (v values) encode() []byte {
	le := binary.LittleEndian
	data := le.AppendUint16([]byte(valuesMagic), valuesVersion)
	for _, k := range slices.Sorted(maps.Keys(v)) {
		data = append(le.AppendUint16(data, uint16(len(k))), k...)
		data = append(le.AppendUint16(data, uint16(len(v[k]))), v[k]...)
	}
	return le.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

// decode reads a record; the file is named in errors.
func decode(data []byte, file string) (values, error) {
	le := binary.LittleEndian
	body := len(data) - crc32.Size
	bad := func(what string) error { return &guard.Damaged{File: file, Offset: -1, What: what} }
	switch {
	case body < valuesHead || string(data[:len(valuesMagic)]) != valuesMagic:
		return nil, bad("it does not begin like a stable store")
	case le.Uint32(data[body:]) != crc32.Checksum(data[:body], castagnoli):
		return nil, bad("its checksum does not match")
	}
	if v := le.Uint16(data[len(valuesMagic):]); v > valuesVersion {
		return nil, &guard.Newer{File: file, Version: v, Known: valuesVersion}
	}
	out := values{}
	for rest := data[valuesHead:body]; len(rest) > 0; {
		var key, value []byte
		var ok1, ok2 bool
		key, rest, ok1 = cutField(rest)
		value, rest, ok2 = cutField(rest)
		if !ok1 || !ok2 {
			return nil, bad("it ends within a value")
		}
		out[string(key)] = slices.Clone(value)
		if _, err := out.get(string(key), file); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func cutField(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.LittleEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}
