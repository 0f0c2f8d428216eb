package expr

import (
	"errors"
	"testing"
)

const store = `{
  "store": {
    "book": [
      {"category": "reference", "author": "Rees", "title": "Sayings", "price": 8.95},
      {"category": "fiction", "author": "Waugh", "title": "Sword", "price": 12.99},
      {"category": "fiction", "author": "Melville", "title": "Moby Dick", "isbn": "0-553", "price": 8.99},
      {"category": "fiction", "author": "Tolkien", "title": "Lord", "isbn": "0-395", "price": 22.99}
    ],
    "bicycle": {"color": "red", "price": 19.95}
  },
  "expensive": 10,
  "list": [0, 1, 2, 3, 4],
  "big": 123456789012345678901234567890,
  "one": 1.0, "exp": 1e5, "null": null, "text": "a\u00e9\ud83d\ude00", "my-key": true, "a b": {"c'd": 1},
  "empty": [], "tags": [["x"], ["y", "z"]], "nums": ["1", 1, 1.0, true, null, {"a": [1]}]
}`

func eval(t *testing.T, src, doc string) string {
	t.Helper()
	p, err := ParsePath(src)
	if err != nil {
		t.Fatalf("ParsePath(%q): %v", src, err)
	}
	v, err := p.Eval(Raw([]byte(doc)), &Budget{Steps: MaxEvalSteps})
	if err != nil {
		t.Fatalf("Eval(%q): %v", src, err)
	}
	return string(v.AppendJSON(nil))
}

func TestPathForms(t *testing.T) {
	tests := []struct{ path, want string }{
		{"expensive", "10"},
		{"$.expensive", "10"},
		{" expensive ", "10"},
		{"big", "123456789012345678901234567890"},
		{"one", "1.0"},
		{"exp", "1e5"},
		{"null", "null"},
		{"my-key", "true"},
		{"['a b']['c\\'d']", "1"},
		{`["a b"]["c'd"]`, "1"},
		{"$['expensive']", "10"},
		{"store.bicycle.color", `"red"`},
		{"store['bicycle'].color", `"red"`},
		{"store.['bicycle'].color", `"red"`},
		{"store[ 'bicycle' ][\"color\"]", `"red"`},
		{"store.book[0].author", `"Rees"`},
		{"store.book[-1].author", `"Tolkien"`},
		{"store.book[ 1 ].author", `"Waugh"`},
		{"store.book[9].author", "null"},
		{"store.book[-9]", "null"},
		{"store.book.author", "null"},
		{"expensive.x", "null"},
		{"text[0]", "null"},
		{"text.x", "null"},
		{"nothing", "null"},
		{"nothing.at.all[0]", "null"},
		{"list[1:3]", "[1,2]"},
		{"list[:2]", "[0,1]"},
		{"list[3:]", "[3,4]"},
		{"list[-2:]", "[3,4]"},
		{"list[:-3]", "[0,1]"},
		{"list[::2]", "[0,2,4]"},
		{"list[::-1]", "[4,3,2,1,0]"},
		{"list[3:0:-2]", "[3,1]"},
		{"list[ 1 : 3 ]", "[1,2]"},
		{"list[1:99]", "[1,2,3,4]"},
		{"list[9:]", "[]"},
		{"expensive[1:2]", "[]"},
		{"list[0,2]", "[0,2]"},
		{"list[ 0 , -1, 77 ]", "[0,4]"},
		{"store.bicycle['color','price']", `{"color":"red","price":19.95}`},
		{"store.bicycle['color','nope']", `{"color":"red"}`},
		{"store['bicycle','nope'].color", `["red"]`},
		{"list['a','b']", "null"},
		{"store.book[*].price", "[8.95,12.99,8.99,22.99]"},
		{"store.bicycle.*", `["red",19.95]`},
		{"store.bicycle[*]", `["red",19.95]`},
		{"store.book[*].isbn", `["0-553","0-395"]`},
		{"tags[*][*]", `["x","y","z"]`},
		{"$..author", `["Rees","Waugh","Melville","Tolkien"]`},
		{"store..price", "[8.95,12.99,8.99,22.99,19.95]"},
		{"store..['price']", "[8.95,12.99,8.99,22.99,19.95]"},
		{"tags..[0]", `[["x"],"x","y"]`},
		{"tags..*", `[["x"],["y", "z"],"x","y","z"]`},
		{"nothing..x", "[]"},
		{"store.book[?(@.price < 10)].title", `["Sayings","Moby Dick"]`},
		{"store.book[?(@.price < $.expensive)].title", `["Sayings","Moby Dick"]`},
		{"store.book[?(@['price'] <= 8.95)].title", `["Sayings"]`},
		{"store.book[?(@.price >= 12.99 && @.isbn)].title", `["Lord"]`},
		{"store.book[?(@.isbn)].author", `["Melville","Tolkien"]`},
		{"store.book[?(!@.isbn)].author", `["Rees","Waugh"]`},
		{"store.book[?(!(@.isbn || @.price > 10))].author", `["Rees"]`},
		{"store.book[?(@.category == 'fiction' && (@.price > 20 || @.author == \"Waugh\"))].author", `["Waugh","Tolkien"]`},
		{"store.book[?(@.category!='fiction')].author", `["Rees"]`},
		{"store.book[?(@.author in ['Rees', 'Waugh'])].price", "[8.95,12.99]"},
		{"store.book[?(@.price in [8.990])].author", `["Melville"]`},
		{"$..[?(@.color)]", `[{"color": "red", "price": 19.95}]`},
		{"$..[?(@.isbn == '0-553')].title", `["Moby Dick"]`},
		{"store.bicycle[?(@.color == 'red')].price", "[19.95]"},
		{"list[?(@ > 2)]", "[3,4]"},
		{"list[?(2<@)]", "[3,4]"},
		{"nums[?(@ == 1)]", `["1",1,1.0]`},
		{"nums[?(@ == '1')]", `["1",1,1.0]`},
		{"nums[?(@ == true)]", "[true]"},
		{"nums[?(@ == null)]", "[null]"},
		{"nums[?(@.a == [1])]", `[{"a": [1]}]`},
		{"nums[?(@.b == null)]", "[]"},
		{"nums[?(@.b != 1)]", `["1",1,1.0,true,null,{"a": [1]}]`},
		{"$[?(@.big == 123456789012345678901234567890)].one", "[1.0]"},
		{"$[?(@.big == 123456789012345678901234567891)].one", "[]"},
		{"store.book.length()", "4"},
		{"text.length()", "4"},
		{"store.length()", "2"},
		{"expensive.length()", "null"},
		{"store.book[?(@.price > 10)].length()", "2"},
		{"tags[?(@.length() > 1)]", `[["y", "z"]]`},
		{"list.sum()", "10.0"},
		{"list.min()", "0.0"},
		{"list.max()", "4.0"},
		{"list.avg()", "2.0"},
		{"store.book[*].price.max()", "22.99"},
		{"$..price.min()", "8.95"},
		{"empty.sum()", "null"},
		{"store.bicycle.keys()", `["color","price"]`},
		{"list.keys()", "null"},
		{"list.first()", "0"},
		{"list.last()", "4"},
		{"empty.first()", "null"},
		{"store.book.last().title", `"Lord"`},
	}
	for _, tt := range tests {
		if got := eval(t, tt.path, store); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.path, got, tt.want)
		}
	}
	if got := eval(t, "$", "[1, 2]"); got != "[1, 2]" {
		t.Errorf("$: got %s", got)
	}
	if got := eval(t, "[1]", "[1, 2]"); got != "2" {
		t.Errorf("[1]: got %s", got)
	}
}

func TestParsePathRefuses(t *testing.T) {
	for _, src := range []string{
		"", " ", ".", "a.", "a..", "a...b", ".a", "..a", "a b", "a. b", "a[", "a[]", "a[x]", "a['x'", "a['x]", "a['x',]",
		"a[1", "a[1,]", "a[1,x]", "a[1:2:0]", "a[99999999999]", "a[?]", "a[?(]", "a[?()]", "a[?(@.x ==)]", "a[?(@.x]",
		"a[?(@.x == y)]", "a[?(@.x == 'y)]", "a[?(@.x =~ /y/)]", "a[?(@.x in [1)]", "a.foo()", "a.length(", "a.length(1)",
		"a..length()", "a]", "a[0]b", "$x", "$$", "a[*", "a.*b",
	} {
		if src == "a]" || src == "$x" || src == "$$" {
			if _, err := ParsePath(src); err != nil {
				t.Errorf("ParsePath(%q): %v", src, err) // odd, but a name
			}
			continue
		}
		p, err := ParsePath(src)
		var pe *PathError
		if !errors.As(err, &pe) {
			t.Errorf("ParsePath(%q): got %v, %v, want a *PathError", src, p, err)
		}
	}
}

func TestPathDescribesItself(t *testing.T) {
	tests := []struct {
		src, root, second string
		definite          bool
	}{
		{"check.output.x", "check", "output", true},
		{"$.check.output", "check", "output", true},
		{"['a b']['c'][0]", "a b", "c", true},
		{"check", "check", "", true},
		{"check[0]", "check", "", true},
		{"check[*]", "check", "", false},
		{"check.output[0:1].x", "check", "output", false},
		{"check..x", "check", "", false},
		{"check.x[?(@.a)].length()", "check", "x", true},
		{"*", "", "", false},
		{"$", "", "", true},
		{"a['x','y']", "a", "", true},
		{"a['x','y'].z", "a", "", false},
		{"a[0,1]", "a", "", false},
	}
	for _, tt := range tests {
		p, err := ParsePath(tt.src)
		if err != nil {
			t.Fatalf("ParsePath(%q): %v", tt.src, err)
		}
		second, ok := p.Second()
		if p.Root() != tt.root || second != tt.second || ok != (tt.second != "") || p.Definite() != tt.definite {
			t.Errorf("%s: got root %q, second %q, definite %v", tt.src, p.Root(), second, p.Definite())
		}
	}
}

// pair is a composite of two members, the second of which is raw.
type pair struct{ left, right Value }

func (p pair) Get(key string) (Value, bool) {
	switch key {
	case "left":
		return p.left, true
	case "right":
		return p.right, true
	}
	return Value{}, false
}

func (p pair) Range(yield func(string, Value) bool) {
	if yield("left", p.left) {
		yield("right", p.right)
	}
}

func TestPathWalksComposites(t *testing.T) {
	inner := pair{Raw([]byte(`{"x": 1}`)), Raw([]byte(`[1, {"x": 2}]`))}
	root := Composite(pair{Composite(inner), Raw([]byte(" 1.50 "))})
	tests := []struct{ path, want string }{
		{"left.left.x", "1"},
		{"left.right[-1].x", "2"},
		{"right", "1.50"},
		{"left.nope.x", "null"},
		{"left[0]", "null"},
		{"left", `{"left":{"x": 1},"right":[1, {"x": 2}]}`},
		{"$", `{"left":{"left":{"x": 1},"right":[1, {"x": 2}]},"right":1.50}`},
		{"$..x", "[1,2]"},
		{"left.*", `[{"x": 1},[1, {"x": 2}]]`},
		{"left.keys()", `["left","right"]`},
		{"left.length()", "2"},
		{"left[?(@.left.x == 1)].right[0]", "[1]"},
	}
	for _, tt := range tests {
		p, err := ParsePath(tt.path)
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Eval(root, nil)
		if got := string(v.AppendJSON(nil)); got != tt.want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", tt.path, got, err, tt.want)
		}
	}
	text, err := AppendText(nil, root, nil)
	if want := "{left={left={x=1}, right=[1, {x=2}]}, right=1.5}"; string(text) != want || err != nil {
		t.Errorf("text: got %s, %v, want %s", text, err, want)
	}
}
