package fsm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm/query"
)

// searched is a State that random commands have left behind.
func searched(t *testing.T, seed uint64) *chaos {
	c := newChaos(t, seed, &coverage{done: map[string]int{}, refused: map[Code]int{}})
	c.setUp()
	for range 150 {
		c.step()
	}
	for i := range 20 { // some that can be told apart
		c.do(&StartExecution{Name: c.names[c.r.IntN(len(c.names))], Correlation: fmt.Sprint("c", i%3),
			Priority: int32(i % 4), CreatedBy: "ann", Input: fmt.Appendf(nil, `{"order":"red shoes %d"}`, i)})
		c.now += Millis(c.r.IntN(2))
	}
	return c
}

// asked makes random queries that have something to do with a State.
type asked struct {
	r      *rand.Rand
	values map[field][]string
	fields []named
}

func askFor(r *rand.Rand, fields []named, subjects []subject) *asked {
	a := &asked{r: r, values: map[field][]string{}, fields: fields}
	for _, f := range fields {
		a.values[f.field] = []string{"", "nothing", "0", "123456789"}
		for range 12 {
			v := subjects[r.IntN(len(subjects))].value(f.field)
			text := v.text
			if f.kind == fieldNumber {
				text = itoa(v.num)
			} else if f.kind == fieldList && len(v.list) > 0 {
				text = v.list[0]
			}
			if len(text) < 200 {
				a.values[f.field] = append(a.values[f.field], text)
			}
		}
	}
	return a
}

func (a *asked) value(f named) string {
	all := a.values[f.field]
	text := all[a.r.IntN(len(all))]
	if f.kind == fieldNumber && (text == "" || text == "nothing") {
		text = []string{"1.5", "-1", "2e3"}[a.r.IntN(3)]
	}
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`, `*`, `\*`).Replace(text)
	if n := len(quote); f.kind != fieldNumber && n > 2 && a.r.IntN(4) == 0 && !strings.ContainsAny(quote, `\`) {
		at := a.r.IntN(n)
		quote = [...]string{quote[:at] + "*", "*" + quote[at:], quote[:at] + "*" + quote[at+1:]}[a.r.IntN(3)]
	}
	return "'" + quote + "'"
}

func (a *asked) condition(depth int) string {
	if depth > 0 && a.r.IntN(2) == 0 {
		parts := make([]string, 2+a.r.IntN(2))
		for i := range parts {
			parts[i] = a.condition(depth - 1)
		}
		return "(" + strings.Join(parts, []string{" AND ", " and ", " OR "}[a.r.IntN(3)]) + ")"
	}
	f := a.fields[a.r.IntN(len(a.fields))]
	if a.r.IntN(2) == 0 { // the ones that indexes know
		f, _ = findField(a.fields, []string{"status", "workflowType", "startTime", "correlationId", "workflowId"}[a.r.IntN(5)])
	}
	switch a.r.IntN(8) {
	case 0:
		return f.name + " IS null"
	case 1:
		return f.name + " IN (" + a.value(f) + "," + a.value(f) + ")"
	case 2:
		return f.name + " BETWEEN " + a.value(f) + " AND " + a.value(f)
	case 3:
		if f.kind != fieldNumber {
			return f.name + " STARTS_WITH " + a.value(f)
		}
	case 4, 5:
		return f.name + []string{"!=", "<", ">", "<=", ">="}[a.r.IntN(5)] + a.value(f)
	}
	return f.name + " = " + a.value(f)
}

func (a *asked) query() Query {
	q := Query{Where: a.condition(a.r.IntN(4)), Limit: 1 + a.r.IntN(30), Count: a.r.IntN(2) == 0}
	if a.r.IntN(4) == 0 {
		q.Where = ""
	}
	if a.r.IntN(4) == 0 {
		q.Text = []string{"*", "red", "red shoes", `"red shoes"`, "RUN*", "shoes red 1", "nothing"}[a.r.IntN(7)]
	}
	for range a.r.IntN(3) {
		if f := a.fields[a.r.IntN(len(a.fields))]; f.kind != fieldDocument {
			q.Sort = strings.TrimPrefix(q.Sort+"|"+f.name+[]string{":ASC", ":DESC", ""}[a.r.IntN(3)], "|")
		}
	}
	if a.r.IntN(3) == 0 {
		q.Sort = []string{"startTime:ASC", "startTime:DESC"}[a.r.IntN(2)]
	}
	return q
}

// scanAll is a search as one would write it without an index: everything is looked
// at, and what fits is sorted.
func scanAll(t *testing.T, q Query, fields []named, all []subject, at func(subject) position) []position {
	t.Helper()
	f, err := newFilter(&q, fields)
	if err != nil {
		t.Fatalf("%s: %v", q.Where, err)
	}
	orders, err := parseSort(q.Sort, fields)
	if err != nil {
		t.Fatal(err)
	}
	var hits []subject
	for _, x := range all {
		if f.holds(x) {
			hits = append(hits, x)
		}
	}
	oldest := len(orders) == 1 && orders[0].field == fieldStart && !orders[0].desc && fields[0].field != fieldTaskID
	slices.SortFunc(hits, func(a, b subject) int {
		for _, o := range orders {
			x, y := a.value(o.field), b.value(o.field)
			if x.null != y.null {
				if x.null {
					return 1
				}
				return -1
			}
			c := strings.Compare(x.text+strings.Join(x.list, ","), y.text+strings.Join(y.list, ","))
			if c == 0 {
				c = int(max(-1, min(1, x.num-y.num)))
			}
			if o.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		c := comparePosition(at(a), at(b))
		if oldest {
			c = -c
		}
		return c
	})
	var out []position
	for _, x := range hits {
		out = append(out, at(x))
	}
	return out
}

// TestSearchFindsWhatAFullScanFinds compares pages, totals and orders of random
// searches on random states with a scan of everything. Shows B175 and B176.
func TestSearchFindsWhatAFullScanFinds(t *testing.T) {
	seed := envInt(t, "PAWL_SEED", rand.Uint64())
	t.Logf("PAWL_SEED=%d", seed)
	runs := envInt(t, "PAWL_RUNS", 2)
	found := 0
	for i := range runs {
		c := searched(t, seed+i)
		v := c.a.View()
		var executions, tasks []subject
		for _, e := range v.s.executions.tree.All() {
			executions = append(executions, executionSubject{v: v, e: e})
			for _, k := range v.s.tasks.tree.From(TaskID{Exec: e.id}) {
				if k.id.Exec != e.id {
					break
				}
				tasks = append(tasks, taskSubject{v: v, e: e, t: k})
			}
		}
		r := rand.New(rand.NewPCG(seed, 9))
		a := askFor(r, executionFields, executions)
		for range 150 {
			q := a.query()
			want := scanAll(t, q, executionFields, executions, func(x subject) position {
				e := x.(executionSubject).e
				return position{time: timeKey{created: e.created, exec: e.id}}
			})
			found += len(want)
			comparePages(t, q, want, func(q Query) ([]position, string, int, error) {
				p, err := v.Search(q)
				return positionsOf(v, p.Items), p.Next, p.Total, err
			})
		}
		a = askFor(r, taskFields, tasks)
		for range 100 {
			q := a.query()
			want := scanAll(t, q, taskFields, tasks, func(x subject) position {
				k := x.(taskSubject)
				return position{time: timeKey{created: k.e.created, exec: k.e.id}, serial: k.t.id.Serial}
			})
			found += len(want)
			comparePages(t, q, want, func(q Query) ([]position, string, int, error) {
				p, err := v.SearchTasks(q)
				var out []position
				for _, x := range p.Items {
					e, _ := v.s.executions.get(x.ID.Exec)
					out = append(out, position{time: timeKey{created: e.created, exec: e.id}, serial: x.ID.Serial})
				}
				return out, p.Next, p.Total, err
			})
		}
	}
	if found == 0 {
		t.Error("no search found anything")
	}
}

func positionsOf(v View, items []ExecutionInfo) (out []position) {
	for _, x := range items {
		e, _ := v.s.executions.get(x.ID)
		out = append(out, position{time: timeKey{created: e.created, exec: e.id}})
	}
	return out
}

// comparePages walks all pages by cursor, and looks at one by its start.
func comparePages(t *testing.T, q Query, want []position, search func(Query) ([]position, string, int, error)) {
	t.Helper()
	var got []position
	first := q
	for n := 0; ; n++ {
		items, next, total, err := search(q)
		if err != nil || len(items) > q.Limit || n > len(want)+2 {
			t.Fatalf("%+v: page %d of %d items: %v", q, n, len(items), err)
		}
		got = append(got, items...)
		if total != -1 && total != len(want) || q.Count && total != len(want) {
			t.Fatalf("%+v: got a total of %d, want %d", q, total, len(want))
		}
		if next == "" {
			break
		}
		q.After = next
	}
	if !slices.Equal(got, want) {
		at := 0
		for at < len(got) && at < len(want) && got[at] == want[at] {
			at++
		}
		t.Fatalf("%+v: got %d in pages, want %d; they differ at %d", first, len(got), len(want), at)
	}
	first.Start = len(want) / 2
	items, _, _, err := search(first)
	if rest := want[first.Start:]; err != nil || !slices.Equal(items, rest[:min(len(rest), first.Limit)]) {
		t.Fatalf("%+v: by start: got %v, want the first of %v: %v", first, items, rest, err)
	}
}

// TestSearchByTasksGivesTheirExecutions shows B176.
func TestSearchByTasksGivesTheirExecutions(t *testing.T) {
	w := newTwin(t)
	w.define(forked, twoSteps)
	id := w.start("forked", `{}`)
	w.start("two", `{}`)
	p, err := w.a.View().SearchByTasks(Query{Where: "workflowType = forked AND status IN (SCHEDULED, IN_PROGRESS)"})
	if err != nil || len(p.Items) != 1 || p.Items[0].ID != id || p.Total < 2 || len(p.Items[0].Input) != 0 {
		t.Errorf("got %+v, %v, want the execution once and the number of its open tasks", p, err)
	}
	if p, err = w.a.View().SearchByTasks(Query{Where: "workflowType = forked", Payloads: true}); err != nil || string(p.Items[0].Input) != "{}" {
		t.Errorf("got %+v, %v, want the whole execution", p, err)
	}
}

func TestSearchFindsAtOnceWhatAnEndHasCanceled(t *testing.T) {
	w := newTwin(t)
	w.define(wide(3000, wideTask))
	id := w.start("wide", `{}`)
	w.tick(0)
	w.apply(&Entry{Commands: []*Command{{Body: &TerminateExecution{Exec: id}}}}) // no work: nothing is swept
	for where, want := range map[string]int{
		"status = SCHEDULED": 0, "status IN (SCHEDULED, IN_PROGRESS) AND taskType = t": 0, "status = CANCELED AND endTime IS NOT null": 3001,
	} {
		p, err := w.a.View().SearchTasks(Query{Where: where, Limit: 1, Count: true})
		if err != nil || p.Total != want {
			t.Errorf("%s: got %d, %v, want %d", where, p.Total, err, want)
		}
	}
}

func TestSearchOverItsBudgetGoesOnByCursor(t *testing.T) {
	w := newTwin(t)
	w.define(`{"name":"end","version":1,"schemaVersion":2,"tasks":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}`)
	large := `{"text":"` + strings.Repeat("x ", 200_000) + `needle"}`
	for i := range 12 {
		w.must(&StartExecution{Name: "end", Input: []byte(large), Priority: int32(i)})
	}
	v := w.a.View()
	for _, sort := range []string{"", "priority:DESC"} {
		s, _ := v.newSearch(&Query{Text: "needle", Sort: sort, Limit: 5}, executionFields, false)
		s.budget = 3 * (len(large) / scanUnit)
		s.run(s.executions)
		if !s.partial || s.total != -1 || len(s.hits) != 3 {
			t.Fatalf("sort %q: got partial %v, total %d, %d hits", sort, s.partial, s.total, len(s.hits))
		}
		got := len(s.hits)
		for next := s.next(); next != ""; next = s.next() {
			s, _ = v.newSearch(&Query{Text: "needle", Sort: sort, Limit: 5, After: next}, executionFields, false)
			s.budget = 3 * (len(large) / scanUnit)
			s.run(s.executions)
			got += len(s.hits)
		}
		if got != 12 {
			t.Errorf("sort %q: got %d in all, want 12", sort, got)
		}
	}
}

func TestWrongSearchesAreRefused(t *testing.T) {
	v := newTwin(t).a.View()
	first := Query{Where: "status = RUNNING", Limit: 1}
	w := newTwin(t)
	w.define(`{"name":"w","version":1,"schemaVersion":2,"tasks":[{"name":"w","taskReferenceName":"w","type":"WAIT"}]}`)
	w.start("w", `{}`)
	w.start("w", `{}`)
	page, err := w.a.View().Search(first)
	if err != nil || page.Next == "" || page.Total != 2 {
		t.Fatalf("got %+v, %v", page, err)
	}
	for want, q := range map[string]Query{
		`query: at character 1: found "state", want one of workflowId, workflowType`: {Where: "state = x"},
		`query: at character 11: found "soon", want a number, as startTime is one`:   {Where: "startTime=soon"},
		`query: at character 9: found the end, want a value`:                         {Where: "status ="},
		`text: at character 1: found "\"x", want a quote`:                            {Text: `"x`},
		`sort: found "nothing", want one of workflowId`:                              {Sort: "nothing:ASC"},
		`sort: found "UP", want ASC or DESC`:                                         {Sort: "status:UP"},
		`sort: input cannot be sorted by`:                                            {Sort: "input"},
		`limit: must be from 1 to 5000`:                                              {Limit: 5001},
		`start: must be from 0`:                                                      {Start: -1},
		`start: cannot be combined`:                                                  {Start: 1, After: page.Next, Where: first.Where},
		`cursor: is not one`:                                                         {After: "x"},
		`cursor: is of a search with another query`:                                  {After: page.Next},
	} {
		_, err := v.Search(q)
		var r *Rejection
		if !errors.As(err, &r) || r.Code != Malformed || !strings.HasPrefix(r.Message, want) {
			t.Errorf("%+v: got %v, want %s…", q, err, want)
		}
	}
	if _, err := v.SearchTasks(Query{Where: "taskType = x AND priority = 1"}); err == nil {
		t.Error("a field that tasks do not have: no error")
	}
}

// TestIndexesNarrowSearches checks that what a query says is used.
func TestIndexesNarrowSearches(t *testing.T) {
	w := newTwin(t)
	w.define(twoSteps, `{"name":"w","version":1,"schemaVersion":2,"tasks":[{"name":"w","taskReferenceName":"w","type":"WAIT"}]}`)
	var id ExecID
	for i := range 50 {
		w.now++
		id = w.must(&StartExecution{Name: []string{"two", "w"}[i%2], Correlation: fmt.Sprint(i % 10)}).Exec
	}
	v := w.a.View()
	for where, want := range map[string]int{
		"":                             50,
		"status = RUNNING":             50,
		"status = FAILED":              0,
		"workflowType = two":           25,
		"workflowType = t*":            25,
		"workflowType STARTS_WITH 't'": 25,
		"workflowType IN (two, w, x)":  50,
		"correlationId = '3'":          5,
		"correlationId IN (3, 4)":      10,
		"correlationId = '3' AND status = RUNNING AND workflowType = w": 5,
		"workflowId = " + id.String():                                   1,
		"status = RUNNING AND workflowType = w":                         25,
		"workflowType = two OR correlationId = 3":                       30,
		"workflowType = two AND startTime > " + itoa(int64(w.now-10)):   5,
		"priority = 0 AND startTime > " + itoa(int64(w.now-10)):         10,
		"priority = 0 AND (correlationId = 3 OR workflowId = x)":        5,
		"priority = 0 OR correlationId = 3":                             50,
	} {
		f, err := newFilter(&Query{Where: where}, executionFields)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.plan(&f.condition, false).rows; got != want {
			t.Errorf("%s: walks %d rows, want %d", where, got, want)
		}
	}
}

func FuzzSearch(f *testing.F) {
	w := newTwin(f)
	w.define(twoSteps)
	w.start("two", `{"a":"b"}`)
	v := w.a.View()
	f.Add("status = RUNNING AND startTime > 1", "two", "startTime:ASC|status", "")
	f.Fuzz(func(t *testing.T, where, text, sort, after string) {
		q := Query{Where: where, Text: text, Sort: sort, After: after}
		if p, err := v.Search(q); err == nil && p.Total > 1 {
			t.Errorf("%d of one execution", p.Total)
		}
		if _, err := query.Parse(where); err != nil {
			if _, err := v.SearchTasks(q); err == nil {
				t.Error("a query that does not parse was answered")
			}
		}
	})
}
