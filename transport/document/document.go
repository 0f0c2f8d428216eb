// Package document reads documents as people write them, JSON or YAML, and gives
// them as JSON. It keeps the order of keys and the digits of numbers. All functions
// may be called concurrently.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxBytes bounds the JSON that a document may become: what aliases repeat counts
	// each time.
	MaxBytes = 1 << 20
	// maxDepth bounds how deep lists and mappings nest.
	maxDepth = 128
	// maxMerges bounds the members that are looked at for merges: lists of aliases of
	// lists of aliases would multiply.
	maxMerges = 1 << 16
)

// JSON returns a document as JSON. What looks like JSON is returned as it is, faults
// included, since whoever reads it next describes them better. Several YAML documents
// in one text become a list. Errors name the line.
func JSON(src []byte) ([]byte, error) {
	if looksLikeJSON(src) {
		return src, nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var docs [][]byte
	total := 0
	for {
		var node yaml.Node
		err := dec.Decode(&node)
		if errors.Is(err, errEnd) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		w := writer{left: MaxBytes - total, merges: maxMerges}
		if err := w.node(&node, 0); err != nil {
			return nil, err
		}
		docs = append(docs, w.out)
		total += len(w.out)
	}
	switch len(docs) {
	case 0:
		return nil, errors.New("the document is empty")
	case 1:
		return docs[0], nil
	}
	return append(append([]byte{'['}, bytes.Join(docs, []byte{','})...), ']'), nil
}

// looksLikeJSON tells by the first character. A YAML flow mapping begins like JSON
// and is read as such.
func looksLikeJSON(src []byte) bool {
	src = bytes.TrimLeft(bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF")), " \t\r\n")
	return len(src) > 0 && (src[0] == '{' || src[0] == '[')
}
