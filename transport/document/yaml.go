package document

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// errEnd is what the decoder says behind the last document.
var errEnd = io.EOF

// writer turns YAML nodes into JSON.
type writer struct {
	out    []byte
	left   int // bytes that may still be written
	merges int // members that merges may still bring, those that lose included
}

func (w *writer) add(s string, n *yaml.Node) error {
	if w.left -= len(s); w.left < 0 {
		return fmt.Errorf("line %d: the document becomes larger than the %d bytes that are allowed", n.Line, MaxBytes)
	}
	w.out = append(w.out, s...)
	return nil
}

func (w *writer) node(n *yaml.Node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("line %d: nested deeper than the %d levels that are allowed", n.Line, maxDepth)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return w.node(n.Content[0], depth)
	case yaml.AliasNode:
		return w.node(n.Alias, depth+1)
	case yaml.SequenceNode:
		return w.list(n, depth)
	case yaml.MappingNode:
		return w.mapping(n, depth)
	case yaml.ScalarNode:
		return w.scalar(n)
	}
	return w.add("null", n)
}

func (w *writer) list(n *yaml.Node, depth int) error {
	for i, el := range n.Content {
		if err := w.add("[,"[min(i, 1):min(i, 1)+1], n); err != nil {
			return err
		}
		if err := w.node(el, depth+1); err != nil {
			return err
		}
	}
	if len(n.Content) == 0 {
		return w.add("[]", n)
	}
	return w.add("]", n)
}

// pair is a member of a mapping, merged ones included.
type pair struct{ key, value *yaml.Node }

func (w *writer) mapping(n *yaml.Node, depth int) error {
	pairs, err := w.members(n, 0)
	if err != nil {
		return err
	}
	if err := w.add("{", n); err != nil {
		return err
	}
	for i, p := range pairs {
		if i > 0 {
			if err := w.add(",", n); err != nil {
				return err
			}
		}
		if err := w.add(quote(p.key.Value)+":", p.key); err != nil {
			return err
		}
		if err := w.node(p.value, depth+1); err != nil {
			return err
		}
	}
	return w.add("}", n)
}

// members lists what a mapping holds: its own keys, then those merged with <<, unless
// they are there already.
func (w *writer) members(n *yaml.Node, depth int) ([]pair, error) {
	var own []pair
	var merged []*yaml.Node
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if depth > 0 {
			if err := w.merge(n); err != nil {
				return nil, err
			}
		}
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind == yaml.ScalarNode && key.Tag == "!!merge":
			merged = append(merged, value)
			continue
		case key.Kind == yaml.AliasNode && key.Alias.Kind == yaml.ScalarNode:
			key = key.Alias
		case key.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("line %d: a key is no text, number or boolean", key.Line)
		}
		if seen[key.Value] {
			return nil, fmt.Errorf("line %d: the key %s is there twice", key.Line, quote(key.Value))
		}
		seen[key.Value] = true
		own = append(own, pair{key, value})
	}
	for _, m := range merged {
		more, err := w.mergedMembers(m, depth+1)
		if err != nil {
			return nil, err
		}
		for _, p := range more {
			if !seen[p.key.Value] {
				seen[p.key.Value] = true
				own = append(own, p)
			}
		}
	}
	return own, nil
}

// merge takes one member from the budget of merges.
func (w *writer) merge(n *yaml.Node) error {
	if w.merges--; w.merges < 0 {
		return fmt.Errorf("line %d: merges bring more than the %d members that are allowed", n.Line, maxMerges)
	}
	return nil
}

// mergedMembers lists what << brings: a mapping, or a list of them of which the first
// wins.
func (w *writer) mergedMembers(n *yaml.Node, depth int) ([]pair, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: merges nest deeper than the %d levels that are allowed", n.Line, maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		return w.members(n, depth)
	case yaml.SequenceNode:
		var out []pair
		for _, el := range n.Content {
			if err := w.merge(n); err != nil {
				return nil, err
			}
			more, err := w.mergedMembers(el, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
		return out, nil
	}
	return nil, fmt.Errorf("line %d: << takes a mapping or a list of mappings", n.Line)
}

// scalar writes a plain value by its tag; times stay the text they were.
func (w *writer) scalar(n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		return w.add("null", n)
	case "!!bool":
		return w.add(strings.ToLower(n.Value), n)
	case "!!int":
		return w.integer(n)
	case "!!float":
		return w.float(n)
	case "!!binary":
		return fmt.Errorf("line %d: binary values are not allowed", n.Line)
	}
	return w.add(quote(n.Value), n)
}

// integer keeps decimal digits as they are; other notations are turned into them.
func (w *writer) integer(n *yaml.Node) error {
	if json.Valid([]byte(n.Value)) {
		return w.add(n.Value, n)
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, 64)
	if err != nil {
		return fmt.Errorf("line %d: %s is no integer of 64 bits", n.Line, quote(n.Value))
	}
	return w.add(strconv.FormatInt(v, 10), n)
}

func (w *writer) float(n *yaml.Node) error {
	if json.Valid([]byte(n.Value)) {
		return w.add(n.Value, n)
	}
	var f float64
	if err := n.Decode(&f); err != nil {
		return fmt.Errorf("line %d: %s is no number", n.Line, quote(n.Value))
	}
	b, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("line %d: %s has no place in JSON", n.Line, quote(n.Value))
	}
	return w.add(string(b), n)
}

func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be encoded
	return strings.TrimSuffix(b.String(), "\n")
}
