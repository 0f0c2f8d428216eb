package builtin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/parser"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// scriptName marks the frames of a stack that are the user's.
	scriptName = "script"
	// maxCalls bounds how deep functions of a script call each other: well below what
	// the stack of a child can hold when the engine's own functions are in between.
	maxCalls = 2000
)

// compileScript parses a script. The source of a function is wrapped without moving
// its lines.
func compileScript(j *Job) (program *goja.Program, o Outcome) {
	defer func() {
		if x := recover(); x != nil {
			o = failed(fsm.JobMalformed, fmt.Sprint("the engine failed: ", x))
		}
	}()
	src := j.Source
	if j.Function {
		src = "function scriptFun(){" + src + "\n} scriptFun();"
	}
	// Source maps would be read from the file system.
	tree, err := parser.ParseFile(nil, scriptName, src, 0, parser.WithDisableSourceMaps)
	if err == nil && j.Function && !isOneFunction(tree) {
		return nil, failed(fsm.JobMalformed, "SyntaxError: Unexpected token }")
	}
	if err == nil {
		repair(tree, src)
		program, err = goja.CompileAST(tree, false)
	}
	if err != nil {
		return nil, unparsed(err)
	}
	return program, Outcome{}
}

// isOneFunction reports whether wrapped source did not end its function and begin
// something else.
func isOneFunction(tree *ast.Program) bool {
	if len(tree.Body) != 2 {
		return false
	}
	_, ok := tree.Body[0].(*ast.FunctionDeclaration)
	return ok
}

func unparsed(err error) Outcome {
	var list parser.ErrorList
	if errors.As(err, &list) && len(list) > 0 {
		o := failed(fsm.JobMalformed, "SyntaxError: "+list[0].Message)
		o.Line = int32(list[0].Position.Line)
		return o
	}
	var syntax *goja.CompilerSyntaxError
	if errors.As(err, &syntax) {
		o := failed(fsm.JobMalformed, "SyntaxError: "+syntax.Message)
		if syntax.File != nil {
			o.Line = int32(syntax.File.Position(syntax.Offset).Line)
		}
		return o
	}
	return failed(fsm.JobMalformed, err.Error())
}

// runScript evaluates a script in a new engine.
func runScript(j *Job, limit time.Duration) (o Outcome) {
	program, o := compileScript(j)
	if o.Failure != fsm.JobDone {
		return o
	}
	vm := goja.New()
	vm.SetParserOptions(parser.WithDisableSourceMaps) // of eval
	vm.SetMaxCallStackSize(maxCalls)
	vm.SetTimeSource(func() time.Time { return time.UnixMilli(j.Now) })
	vm.SetRandSource(rand.New(rand.NewPCG(seed(j))).Float64)
	timer := time.AfterFunc(limit, func() { vm.Interrupt("deadline") })
	defer func() {
		x := recover()
		if x != nil {
			o = ended(x, limit)
		}
		if !timer.Stop() && x != nil {
			o = timedOut(limit)
		}
	}()
	w := newResultWriter(vm) // before the script can change what it uses
	if err := errors.Join(addEqual(vm), addListMethods(vm), vm.Set("$", toScript(vm, j.Input))); err != nil {
		return failed(fsm.JobThrew, err.Error())
	}
	value, err := vm.RunProgram(program)
	if err != nil {
		panic(err) // one place tells how scripts end
	}
	if ex := vm.Try(func() { w.value(value, 0) }); ex != nil {
		panic(ex)
	}
	return Outcome{Result: w.dst}
}

// seed makes random numbers a property of the job.
func seed(j *Job) (uint64, uint64) {
	h := fnv.New128a()
	for _, part := range []string{j.Source, string(j.Input)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	sum := h.Sum(binary.BigEndian.AppendUint64(nil, uint64(j.Now)))
	return binary.BigEndian.Uint64(sum[:8]) ^ binary.BigEndian.Uint64(sum[8:]), binary.BigEndian.Uint64(sum[16:])
}

// ended is what a script ends with that threw, was interrupted or broke the engine.
func ended(x any, limit time.Duration) Outcome {
	if o, ok := x.(Outcome); ok {
		return o
	}
	err, ok := x.(error)
	if !ok {
		return failed(fsm.JobThrew, fmt.Sprint("the engine failed: ", x))
	}
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	var thrown *goja.Exception
	switch {
	case errors.As(err, &interrupted):
		return timedOut(limit)
	case errors.As(err, &overflow):
		o := failed(fsm.JobThrew, "RangeError: Maximum call stack size exceeded")
		o.Line = line(overflow.Stack())
		return o
	case errors.As(err, &thrown):
		o := failed(fsm.JobThrew, thrownText(thrown.Value()))
		o.Line = line(thrown.Stack())
		return o
	}
	return failed(fsm.JobThrew, "the engine failed: "+err.Error())
}

// thrownText is what a thrown value says of itself. Its own functions may run.
func thrownText(v goja.Value) (text string) {
	defer func() {
		if recover() != nil {
			text = "a value that has no text was thrown"
		}
	}()
	if v == nil {
		return "undefined"
	}
	return v.String()
}

// line is that of the innermost frame in the user's source.
func line(stack []goja.StackFrame) int32 {
	for i := range stack {
		if at := stack[i].Position(); at.Filename == scriptName && at.Line > 0 {
			return int32(at.Line)
		}
	}
	return 0
}

// addListMethods gives arrays what the lists of a Java host have and definitions in use
// call: get and size. Loops over the keys of an array do not see them.
func addListMethods(vm *goja.Runtime) error {
	proto := vm.Get("Array").(*goja.Object).Get("prototype").(*goja.Object)
	get := vm.ToValue(func(c goja.FunctionCall) goja.Value {
		return c.This.ToObject(vm).Get(c.Argument(0).String())
	})
	size := vm.ToValue(func(c goja.FunctionCall) goja.Value {
		return c.This.ToObject(vm).Get("length")
	})
	return errors.Join(
		proto.DefineDataProperty("get", get, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE),
		proto.DefineDataProperty("size", size, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE),
	)
}
