package expr

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpusDir holds public definitions that are kept beside the repository.
const corpusDir = "../../../shared/corpus"

// corpus returns the JSON documents of the definition corpus by file name. Without a
// corpus there is nothing to test.
func corpus(t *testing.T) map[string][]byte {
	t.Helper()
	if _, err := os.Stat(corpusDir); os.IsNotExist(err) {
		t.Skip("no corpus at " + corpusDir)
	}
	files, err := filepath.Glob(filepath.Join(corpusDir, "definitions/*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions in %s: %v", corpusDir, err)
	}
	docs := map[string][]byte{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs[filepath.Base(file)] = bytes.TrimPrefix(raw, []byte("\ufeff"))
	}
	return docs
}

func TestCorpusTemplatesParse(t *testing.T) {
	refs := 0
	for name, raw := range corpus(t) {
		tm, err := ParseTemplateAt(name, raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, p := range tm.Problems() {
			t.Errorf("%v", p)
		}
		refs += len(tm.Refs())
		out, err := tm.Append(nil, Raw([]byte(`{"workflow": {"input": {"a": [1, 2.0]}}}`)), &Budget{Steps: MaxEvalSteps})
		if err != nil || Check(out) != nil {
			t.Errorf("%s: rendered: %v, %v", name, err, Check(out))
		}
		if tm.Constant() && !bytes.Equal(out, raw) {
			t.Errorf("%s: constant, but changes", name)
		}
	}
	t.Logf("%d expressions", refs)
	if refs < 500 {
		t.Errorf("%d expressions: the corpus is not what it was", refs)
	}
}

// scripts adds the scripts below v, those of key, to out.
func scripts(v Value, key string, out map[string]bool) {
	_ = v.each(nil, func(k []byte, _ string, child Value) error {
		if s, ok := Unquote(child.raw); ok && k != nil && keyIs(k, key) {
			out[s] = true
		}
		scripts(child, key, out)
		return nil
	})
}

func TestCorpusConditionsAreInTheSubset(t *testing.T) {
	found := map[string]bool{}
	for _, raw := range corpus(t) {
		scripts(Raw(raw), "loopCondition", found)
		scripts(Raw(raw), "caseExpression", found)
	}
	outside := 0
	for src := range found {
		if _, err := ParseScript(src); err != nil {
			outside++
			t.Logf("outside: %s: %v", strings.TrimSpace(src), err)
		}
	}
	if len(found) < 20 || outside > 0 {
		t.Errorf("%d of %d conditions are outside the subset", outside, len(found))
	}
}
