package fsm

import (
	"cmp"
	"errors"
	"strconv"
	"strings"

	"github.com/pawlhq/pawl/fsm/query"
)

// condition is a query whose fields and numbers have been read. The zero condition
// holds for everything.
type condition struct {
	op     query.Op
	kids   []condition
	field  field
	kind   fieldKind
	values []literal
}

// literal is a value of a query, read for the kind of its field.
type literal struct {
	query.Value
	phrase query.Phrase // for documents
	num    int64
	real   float64 // for numbers with a fraction
	whole  bool    // num holds
}

// filter is what a record has to satisfy: a condition and phrases of free text.
type filter struct {
	condition condition
	phrases   []query.Phrase
	fields    []named
}

// newFilter reads a query for records that have some fields.
func newFilter(q *Query, fields []named) (*filter, error) {
	n, err := query.Parse(q.Where)
	if err != nil {
		return nil, badQuery("query", err)
	}
	n = narrowed(n, q)
	f := &filter{fields: fields}
	if f.condition, err = f.compile(&n); err != nil {
		return nil, badQuery("query", err)
	}
	if f.phrases, err = query.ParseText(q.Text); err != nil {
		return nil, badQuery("text", err)
	}
	return f, nil
}

// narrowed adds what fields of a Query say to its conditions.
func narrowed(n query.Node, q *Query) query.Node {
	status := ""
	if q.Status != 0 {
		status = q.Status.String()
	}
	kids := []query.Node{n}
	if n.Op == query.And { // so that the planner sees all parts side by side
		kids = n.Kids
	}
	for _, c := range [][2]string{{"workflowType", q.Definition}, {"status", status}, {"correlationId", q.Correlation}} {
		if c[1] != "" {
			value := query.Value{Text: c[1], Parts: []string{c[1]}}
			kids = append(kids, query.Node{Op: query.Equal, Field: c[0], Values: []query.Value{value}})
		}
	}
	if len(kids) == 1 {
		return kids[0]
	}
	return query.Node{Op: query.And, Kids: kids}
}

func badQuery(field string, err error) error {
	var e *query.Error
	if !errors.As(err, &e) {
		return err
	}
	return badField(field, e.Error())
}

func (f *filter) compile(n *query.Node) (condition, error) {
	c := condition{op: n.Op}
	if n.Op == query.And || n.Op == query.Or {
		for i := range n.Kids {
			kid, err := f.compile(&n.Kids[i])
			if err != nil {
				return c, err
			}
			c.kids = append(c.kids, kid)
		}
		return c, nil
	}
	known, ok := findField(f.fields, n.Field)
	if !ok {
		return c, &query.Error{At: n.At, Found: n.Field, Want: join("one of ", fieldNames(f.fields))}
	}
	c.field, c.kind = known.field, known.kind
	for _, v := range n.Values {
		l := literal{Value: v}
		switch {
		case c.kind == fieldDocument:
			l.phrase = query.PhraseOf(v.Text)
		case c.kind == fieldNumber:
			if !l.number() {
				return c, &query.Error{At: v.At, Found: v.Text, Want: join("a number, as ", n.Field, " is one")}
			}
		}
		c.values = append(c.values, l)
	}
	return c, nil
}

// maxNumber is the length of the longest number that is read.
const maxNumber = 32

// number reads the value as a number, whole or with a fraction.
func (l *literal) number() bool {
	if len(l.Text) > maxNumber {
		return false
	}
	if n, ok := atoi([]byte(l.Text)); ok {
		l.num, l.real, l.whole = n, float64(n), true
		return true
	}
	for _, c := range []byte(l.Text) {
		if !strings.ContainsRune("0123456789+-.eE", rune(c)) {
			return false // what ParseFloat reads besides: hexadecimal, Inf, NaN
		}
	}
	var err error
	l.real, err = strconv.ParseFloat(l.Text, 64)
	return err == nil
}

// holds tests a record.
func (f *filter) holds(x subject) bool {
	return f.condition.holds(x) && f.mentions(x)
}

// mentions tests the free text: each phrase is in some field.
func (f *filter) mentions(x subject) bool {
	if len(f.phrases) == 0 {
		return true
	}
	texts := make([]string, 0, len(f.fields))
	for _, known := range f.fields {
		switch v := x.value(known.field); {
		case v.null:
		case known.kind == fieldList:
			texts = append(texts, v.list...)
		case known.kind == fieldNumber:
			texts = append(texts, itoa(v.num))
		default:
			texts = append(texts, v.text)
		}
	}
	for _, p := range f.phrases {
		if !anyHas(texts, p) {
			return false
		}
	}
	return true
}

func anyHas(texts []string, p query.Phrase) bool {
	for _, text := range texts {
		if p.In(text) {
			return true
		}
	}
	return false
}

// reads reports whether the filter looks into payloads.
func (f *filter) reads() bool { return len(f.phrases) > 0 || f.condition.reads() }

func (c *condition) reads() bool {
	for i := range c.kids {
		if c.kids[i].reads() {
			return true
		}
	}
	return c.field == fieldInput || c.field == fieldOutput || c.field == fieldClassifier
}

// holds tests a record. Its depth is bounded by query.MaxDepth.
func (c *condition) holds(x subject) bool {
	switch c.op {
	case query.And:
		for i := range c.kids {
			if !c.kids[i].holds(x) {
				return false
			}
		}
		return true
	case query.Or:
		for i := range c.kids {
			if c.kids[i].holds(x) {
				return true
			}
		}
		return false
	}
	v := x.value(c.field)
	switch c.op {
	case query.IsNull:
		return v.null
	case query.IsNotNull:
		return !v.null
	case query.NotEqual:
		return !c.equal(&v, &c.values[0])
	case query.Equal, query.In:
		for i := range c.values {
			if c.equal(&v, &c.values[i]) {
				return true
			}
		}
		return false
	}
	return c.ordered(&v)
}

// equal also says that what is null equals the empty text, as clients ask for top-level
// executions.
func (c *condition) equal(v *value, l *literal) bool {
	switch c.kind {
	case fieldNumber:
		if l.whole {
			return !v.null && v.num == l.num
		}
		return !v.null && float64(v.num) == l.real
	case fieldList:
		for _, text := range v.list {
			if query.Match(l.Parts, text) {
				return true
			}
		}
		return v.null && l.Text == ""
	case fieldDocument:
		if l.Wild() {
			return !v.null && query.Match(l.Parts, v.text)
		}
		return v.text == l.Text || l.phrase.In(v.text)
	}
	return query.Match(l.Parts, v.text) && (!v.null || !l.Wild())
}

// ordered tests the operators that null satisfies never.
func (c *condition) ordered(v *value) bool {
	if v.null {
		return false
	}
	if c.kind == fieldList {
		for _, text := range v.list {
			if c.orderedText(text) {
				return true
			}
		}
		return false
	}
	if c.op == query.StartsWith && c.kind == fieldNumber {
		return strings.HasPrefix(itoa(v.num), c.values[0].Text)
	}
	if c.kind != fieldNumber {
		return c.orderedText(v.text)
	}
	return c.inOrder(c.values[0].compare(v.num), func() int { return c.values[1].compare(v.num) })
}

func (c *condition) orderedText(text string) bool {
	if c.op == query.StartsWith {
		return strings.HasPrefix(text, c.values[0].Text)
	}
	return c.inOrder(strings.Compare(text, c.values[0].Text), func() int { return strings.Compare(text, c.values[1].Text) })
}

// inOrder judges how the record's value compares with the first bound, and for BETWEEN
// with the second.
func (c *condition) inOrder(first int, second func() int) bool {
	switch c.op {
	case query.Less:
		return first < 0
	case query.Greater:
		return first > 0
	case query.LessOrEqual:
		return first <= 0
	case query.GreaterOrEqual:
		return first >= 0
	}
	return first >= 0 && second() <= 0
}

// compare orders a number of a record against the value.
func (l *literal) compare(n int64) int {
	if l.whole {
		return cmp.Compare(n, l.num)
	}
	return cmp.Compare(float64(n), l.real)
}
