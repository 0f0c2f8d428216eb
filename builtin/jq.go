package builtin

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// nowVariable stands in a query for the time of the job.
	nowVariable = "$__now"
	// guardName is a function that explains why a member cannot be taken.
	guardName = "__member"
)

// ofTheWorld lists what a query cannot use: it would read the machine's zone or
// environment, other inputs, modules, or end the process.
var ofTheWorld = []string{"localtime", "strflocaltime", "env", "$ENV", "input", "inputs", "input_filename",
	"input_line_number", "debug", "stderr", "halt", "halt_error", "get_search_list", "modulemeta", "$__prog_args"}

// compileQuery parses a query and binds its clock to the job.
func compileQuery(j *Job) (*gojq.Code, Outcome) {
	query, o := parseQuery(j.Source)
	if o.Failure != fsm.JobDone {
		return nil, o
	}
	code, err := gojq.Compile(query, gojq.WithVariables([]string{nowVariable}))
	if err != nil {
		return nil, failed(fsm.JobMalformed, queryText(err))
	}
	return code, Outcome{}
}

func parseQuery(src string) (*gojq.Query, Outcome) {
	query, err := gojq.Parse(src)
	if err != nil {
		o := failed(fsm.JobMalformed, "syntax error: "+err.Error())
		var at *gojq.ParseError
		if errors.As(err, &at) && at.Offset <= len(src) {
			o.Line = int32(1 + strings.Count(src[:at.Offset], "\n"))
		}
		return nil, o
	}
	if len(query.Imports) > 0 || query.Meta != nil {
		return nil, failed(fsm.JobMalformed, "modules are not available")
	}
	refused := ""
	walk(reflect.ValueOf(query), func(x any) {
		f, ok := x.(*gojq.Func)
		switch {
		case !ok:
		case f.Name == "now" && len(f.Args) == 0:
			f.Name = nowVariable
		case slices.Contains(ofTheWorld, f.Name):
			refused = f.Name
		}
	})
	if refused != "" {
		return nil, failed(fsm.JobMalformed, refused+" is not available: a query sees its input only")
	}
	return query, Outcome{}
}

// walk visits the nodes below v that are pointers to structs, children first.
func walk(v reflect.Value, visit func(any)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		walk(v.Elem(), visit)
		visit(v.Interface())
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), visit)
		}
	}
}

// runQuery gives all results of a query.
func runQuery(j *Job, limit time.Duration) Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	code, o := compileQuery(j)
	if o.Failure != fsm.JobDone {
		return o
	}
	dst, err := results(ctx, code, j)
	switch {
	case ctx.Err() != nil:
		return timedOut(limit)
	case err != nil:
		return failed(fsm.JobThrew, explain(ctx, err, j))
	case len(dst) > MaxResult:
		return tooLarge(len(dst))
	}
	return Outcome{Result: dst}
}

// results runs a query to its end, or until its results are too large to be kept.
func results(ctx context.Context, code *gojq.Code, j *Job) ([]byte, error) {
	input, err := decode(j.Input)
	if err != nil {
		return nil, err
	}
	dst := []byte{'['}
	iter := code.RunWithContext(ctx, input, float64(j.Now)/1000)
	for len(dst) <= MaxResult {
		v, ok := iter.Next()
		if !ok {
			return append(dst, ']'), nil
		}
		if err, ok := v.(error); ok {
			return nil, err
		}
		text, err := gojq.Marshal(v)
		if err != nil {
			return nil, err
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(dst, text...)
	}
	return dst, nil
}

// explain words an error as Conductor's jq does. The library does not say which member
// it could not take; so the query, which always does the same, is run once more with a
// guard in front of each.
func explain(ctx context.Context, err error, j *Job) string {
	if !strings.HasPrefix(err.Error(), expectedObject) {
		return queryText(err)
	}
	query, o := parseQuery(j.Source)
	if o.Failure != fsm.JobDone {
		return queryText(err)
	}
	guard(query)
	code, bad := gojq.Compile(query, gojq.WithVariables([]string{nowVariable}))
	if bad != nil {
		return queryText(err)
	}
	if _, again := results(ctx, code, j); again != nil && ctx.Err() == nil {
		return queryText(again)
	}
	return queryText(err)
}

// guard puts a check in front of each member that a query takes by a constant name.
func guard(query *gojq.Query) {
	walk(reflect.ValueOf(query), func(x any) {
		if term, ok := x.(*gojq.Term); ok {
			guardTerm(term)
		}
	})
	// An error is no result, so a path goes through.
	def, err := gojq.Parse("def " + guardName + `($k): if type == "object" or type == "null" then .` +
		` else error("Cannot index \(type) with string \"\($k)\"") end; .`)
	if err == nil {
		query.FuncDefs = append(def.FuncDefs, query.FuncDefs...)
	}
}

// guardTerm turns .a.b[…].c into ((guard | .a) | guard | .b)[…] | guard | .c.
func guardTerm(term *gojq.Term) {
	suffixes := term.SuffixList
	cur := *term
	cur.SuffixList = nil
	if key, ok := constantKey(cur.Index); ok && cur.Type == gojq.TermTypeIndex {
		cur = guarded(nil, key)
	}
	for _, s := range suffixes {
		if key, ok := constantKey(s.Index); ok {
			owner := cur
			cur = guarded(&gojq.Query{Term: &owner}, key)
			continue
		}
		cur.SuffixList = append(cur.SuffixList, s)
	}
	*term = cur
}

func constantKey(index *gojq.Index) (string, bool) {
	switch {
	case index == nil || index.IsSlice:
	case index.Name != "":
		return strings.TrimPrefix(index.Name, "."), true
	case index.Str != nil && index.Str.Queries == nil:
		return index.Str.Str, true
	case index.Start != nil && index.Start.Term != nil && len(index.Start.Term.SuffixList) == 0:
		if str := index.Start.Term.Str; str != nil && str.Queries == nil && index.Start.Term.Type == gojq.TermTypeString {
			return str.Str, true
		}
	}
	return "", false
}

// guarded is (owner | guard(key) | .[key]).
func guarded(owner *gojq.Query, key string) gojq.Term {
	str := &gojq.Term{Type: gojq.TermTypeString, Str: &gojq.String{Str: key}}
	check := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{
		Name: guardName, Args: []*gojq.Query{{Term: str}}}}}
	take := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIndex, Index: &gojq.Index{Str: &gojq.String{Str: key}}}}
	q := &gojq.Query{Left: check, Op: gojq.OpPipe, Right: take}
	if owner != nil {
		q = &gojq.Query{Left: owner, Op: gojq.OpPipe, Right: q}
	}
	return gojq.Term{Type: gojq.TermTypeQuery, Query: q}
}

const expectedObject = "expected an object but got: "

// queryText words an error of the library as jq 1.6 does, where they differ.
func queryText(err error) string {
	var own gojq.ValueError
	if errors.As(err, &own) {
		if s, ok := own.Value().(string); ok {
			return s
		}
		text, bad := gojq.Marshal(own.Value())
		if bad == nil {
			return string(text) + " (not a string)"
		}
	}
	msg := err.Error()
	rest := func(prefix string) (string, bool) { return strings.CutPrefix(msg, prefix) }
	if v, ok := rest(expectedObject); ok {
		return "Cannot index " + typeName(v) + " with string"
	}
	if v, ok := rest("expected an array but got: "); ok {
		return "Cannot index " + typeName(v) + " with number"
	}
	if v, ok := rest("cannot iterate over: "); ok {
		return "Cannot iterate over " + typeName(v)
	}
	if f, ok := rest("function not defined: "); ok {
		return "Function " + f + " does not exist"
	}
	if v, ok := rest("keys cannot be applied to: "); ok {
		return v + " has no keys"
	}
	return arithmeticText(msg)
}

// arithmeticText is queryText for operators with two sides.
func arithmeticText(msg string) string {
	for _, op := range []struct{ is, done, between, because string }{
		{"add: ", "added", " and ", ""}, {"subtract: ", "subtracted", " and ", ""}, {"multiply: ", "multiplied", " and ", ""},
		{"divide: ", "divided", " and ", ""}, {"modulo: ", "divided", " and ", ""},
		{"divide ", "divided", " by: ", " because the divisor is zero"}, {"modulo ", "divided", " by: ", " because the divisor is zero"},
	} {
		sides, ok := strings.CutPrefix(msg, "cannot "+op.is)
		if left, right, both := strings.Cut(sides, op.between); ok && both {
			return left + " and " + right + " cannot be " + op.done + op.because
		}
	}
	return msg
}

// typeName is the type in the library's preview of a value: number (5), null.
func typeName(preview string) string {
	name, _, _ := strings.Cut(preview, " ")
	return name
}
