package fsm

import (
	"slices"
	"strings"
)

// Query is what a search asks for.
type Query struct {
	// Definition, Status and Correlation narrow, when given, what Where selects. They
	// are of executions: a search for tasks leaves them aside.
	Definition  string
	Status      Status
	Correlation string

	Where string // conditions in the language of package query; empty selects all
	Text  string // words and quoted phrases that some field has; empty or * selects all
	Sort  string // field:ASC or field:DESC, several separated by |; empty: newest first
	Start int    // leave out so many; only without After, and up to MaxStart
	After string // Next of the page before, of the same Where, Text and Sort
	Limit int    // 1 to MaxSearch; 0 means DefaultPage
	Count bool   // count all that it selects, as far as the budget goes
	// Payloads wants the payloads of what is found too.
	Payloads bool
}

// Bounds of a search.
const (
	// MaxSearch is the longest page.
	MaxSearch = 5000
	// MaxStart is how far a page may be from the beginning.
	MaxStart = 100_000
	// maxScan bounds the records that one search looks at. What is left out then comes
	// with the cursor.
	maxScan = 200_000
	// maxSortFields bounds the fields of one order.
	maxSortFields = 8
	// scanUnit is how many bytes of payload count as one record more.
	scanUnit = 4 << 10
)

// Search gives executions. A wrong query is a *Rejection that says where it is wrong.
// Where the order is not that of time and a search was cut short, what has been looked
// at is sorted by itself, and the cursor goes on with the rest.
func (v View) Search(q Query) (Page, error) {
	s, err := v.newSearch(&q, executionFields, false)
	if err != nil || v.s == nil {
		return Page{}, err
	}
	s.run(s.executions)
	page := Page{Total: s.total, Partial: s.partial, Next: s.next()}
	for _, h := range s.hits {
		if q.Payloads {
			x, _ := v.Execution(h.at.time.exec)
			page.Items = append(page.Items, x)
		} else {
			e, _ := v.s.executions.get(h.at.time.exec)
			page.Items = append(page.Items, v.summary(e))
		}
	}
	return page, nil
}

// hit is a record that satisfies a search.
type hit struct {
	at   position
	keys []sortKey
}

// order is a field that a search is sorted by.
type order struct {
	field field
	kind  fieldKind
	desc  bool
}

// search is one search under way.
type search struct {
	v      View
	q      *Query
	ofTask bool // it looks for tasks
	f      *filter
	access access
	orders []order // none when the order is that of time
	oldest bool    // in the order of time: oldest first
	from   cursor
	limit  int

	budget  int
	scanned position // looked at last
	hits    []hit    // of the page
	matched int
	total   int
	stopped bool // not all was looked at
	partial bool // because of the budget, and the page is short for it
	more    bool // there may be more behind the page
}

func (v View) newSearch(q *Query, fields []named, ofTask bool) (*search, error) {
	s := &search{v: v, q: q, ofTask: ofTask, limit: q.Limit, budget: maxScan}
	if q.Limit == 0 {
		s.limit = DefaultPage
	}
	switch {
	case q.Limit < 0 || q.Limit > MaxSearch:
		return nil, badField("limit", "must be from 1 to 5000")
	case q.Start < 0 || q.Start > MaxStart:
		return nil, badField("start", "must be from 0 to 100000; page by cursor to go on from there")
	case q.Start > 0 && q.After != "":
		return nil, badField("start", "cannot be combined with a cursor")
	}
	var err error
	if s.f, err = newFilter(q, fields); err != nil {
		return nil, err
	}
	if s.orders, err = parseSort(q.Sort, fields); err != nil {
		return nil, err
	}
	if o := s.orders; len(o) == 1 && o[0].field == fieldStart && !ofTask {
		s.oldest, s.orders = !o[0].desc, nil
	}
	check := rowHash([]byte(join(q.Where, "\x00", q.Text, "\x00", q.Sort, "\x00", q.Definition, "\x00", q.Correlation,
		"\x00", q.Status.String()))).Lo
	if s.from, err = parseSearchCursor(q.After, check, len(s.orders)); err != nil {
		return nil, err
	}
	if v.s != nil {
		s.access = v.plan(&s.f.condition, ofTask)
	}
	return s, nil
}

// parseSort reads an order. No direction means ascending.
func parseSort(text string, fields []named) ([]order, error) {
	var out []order
	for rest := text; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "|")
		name, direction, _ := strings.Cut(trimBlanks(part), ":")
		known, ok := findField(fields, name)
		o := order{field: known.field, kind: known.kind}
		switch {
		case !ok:
			return nil, badField("sort", "found \"", name, "\", want one of ", fieldNames(fields))
		case known.kind == fieldDocument:
			return nil, badField("sort", name, " cannot be sorted by")
		case len(out) == maxSortFields:
			return nil, badField("sort", "at most 8 fields")
		}
		switch direction {
		case "", "ASC", "asc":
		case "DESC", "desc":
			o.desc = true
		default:
			return nil, badField("sort", "found \"", direction, "\", want ASC or DESC")
		}
		out = append(out, o)
	}
	return out, nil
}

// run looks at records until the page is full, or all has been seen. source gives
// them in the order of time, from the cursor on.
func (s *search) run(source func(func(position, subject) bool)) {
	s.total = s.from.total
	if s.access.exact && len(s.f.phrases) == 0 && !s.ofTask {
		s.total = s.access.rows
	}
	top := heap[hit]{less: func(a, b hit) bool { return s.compare(&a, &b) > 0 }} // the last first
	source(func(at position, x subject) bool {
		if s.spent() {
			return false
		}
		if len(s.orders) == 0 && s.full() && !s.counting() {
			s.more, s.stopped = true, true
			return false
		}
		s.scanned = at
		s.charge(x)
		if !s.f.holds(x) {
			return true
		}
		s.matched++
		if len(s.orders) > 0 {
			s.keep(&top, s.hitOf(at, x))
		} else if s.matched > s.q.Start && len(s.hits) < s.limit {
			s.hits = append(s.hits, hit{at: at})
		} else if s.full() {
			s.more = true
		}
		return true
	})
	if len(s.orders) > 0 {
		s.ranked(&top)
	}
	if !s.stopped && s.total < 0 && s.q.After == "" {
		s.total = s.matched
	}
}

// spent reports whether the budget is, and stops the search then.
func (s *search) spent() bool {
	if s.budget > 0 {
		return false
	}
	s.stopped, s.more = true, true
	s.partial = len(s.orders) > 0 || !s.full()
	return true
}

func (s *search) full() bool { return len(s.hits) == s.limit }

// counting says whether to go on behind a full page.
func (s *search) counting() bool { return s.q.Count && s.total < 0 && s.q.After == "" }

// charge takes what looking at a record costs.
func (s *search) charge(x subject) {
	s.budget--
	if s.f.reads() {
		s.budget -= x.size() / scanUnit
	}
}

func (s *search) hitOf(at position, x subject) hit {
	h := hit{at: at, keys: make([]sortKey, len(s.orders))}
	for i, o := range s.orders {
		v := x.value(o.field)
		h.keys[i] = sortKey{null: v.null, text: v.text, num: v.num}
		if o.kind == fieldList {
			h.keys[i].text = strings.Join(v.list, ",")
		}
	}
	return h
}

// keep remembers a hit if it is among the first that are asked for.
func (s *search) keep(top *heap[hit], h hit) {
	if s.from.after != nil && s.compare(&h, s.from.after) <= 0 {
		s.matched-- // on a page before
		return
	}
	switch most := s.q.Start + s.limit; {
	case len(top.items) < most:
		top.push(h)
	case s.compare(&h, &top.items[0]) < 0:
		top.items[0] = h
		top.sink()
	}
}

// ranked brings the kept hits in order.
func (s *search) ranked(top *heap[hit]) {
	s.more = s.more || s.matched > len(top.items)
	slices.SortFunc(top.items, func(a, b hit) int { return s.compare(&a, &b) })
	s.hits = top.items[min(s.q.Start, len(top.items)):]
}

// compare orders hits as the query wants them; null comes last, and equals follow the
// order of time.
func (s *search) compare(a, b *hit) int {
	for i, o := range s.orders {
		x, y := &a.keys[i], &b.keys[i]
		switch {
		case x.null && y.null:
			continue
		case x.null:
			return 1
		case y.null:
			return -1
		}
		c := strings.Compare(x.text, y.text)
		if o.kind == fieldNumber {
			c = compareNumber(x.num, y.num)
		}
		if c != 0 && o.desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return comparePosition(a.at, b.at)
}

func compareNumber(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// next gives the cursor behind the page, empty at the end.
func (s *search) next() string {
	if !s.more {
		return ""
	}
	c := cursor{check: s.from.check, scan: s.from.scan, total: s.total}
	switch {
	case len(s.orders) == 0 && s.full():
		c.scan = s.hits[len(s.hits)-1].at
	case len(s.orders) == 0 || s.partial && s.matched <= len(s.hits)+s.q.Start:
		c.scan = s.scanned // all of what was looked at has been given
	default:
		c.after = &s.hits[len(s.hits)-1]
	}
	return c.text()
}

// executions gives the executions of the access.
func (s *search) executions(yield func(position, subject) bool) {
	w := s.v.walkSpans(s.access.spans, s.oldest, s.from.scan.time)
	for {
		k, ok := w.next()
		if !ok {
			return
		}
		e, found := s.v.s.executions.get(k.exec)
		if found && !yield(position{time: k}, executionSubject{v: s.v, e: e}) {
			return
		}
	}
}
