package builtin

import (
	"reflect"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
	"github.com/dop251/goja/token"
)

// equalName is the function that == of a script calls. No script can name it.
const equalName = "=="

// repair makes operators mean what the language says where the engine differs:
// comparisons without parentheses are grouped from the left, a < b < c as (a < b) < c,
// and == reads a text as a number whatever side it is on.
func repair(tree *ast.Program, src string) {
	if strings.Count(src, "<")+strings.Count(src, ">")+strings.Count(src, "in") < 2 && !strings.Contains(src, "=") {
		return
	}
	visit(reflect.ValueOf(tree), func(n *ast.BinaryExpression) {
		associate(n, src)
		switch n.Operator {
		case token.EQUAL:
			callEqual(n, token.STRICT_EQUAL)
		case token.NOT_EQUAL:
			callEqual(n, token.STRICT_NOT_EQUAL)
		}
	})
}

// associate groups a chain of comparisons that begins with n.
func associate(n *ast.BinaryExpression, src string) {
	for {
		right, ok := n.Right.(*ast.BinaryExpression)
		if !ok || !isRelation(n.Operator) || !isRelation(right.Operator) || hasParentheses(n, right, src) {
			return
		}
		left := &ast.BinaryExpression{Operator: n.Operator, Left: n.Left, Right: right.Left, Comparison: n.Comparison}
		n.Operator, n.Left, n.Right, n.Comparison = right.Operator, left, right.Right, right.Comparison
	}
}

// callEqual turns a == b into equal(a, b) === true. What is compared with null is left
// alone.
func callEqual(n *ast.BinaryExpression, op token.Token) {
	if _, ok := n.Right.(*ast.NullLiteral); ok {
		return
	}
	at := n.Left.Idx0()
	call := &ast.CallExpression{Callee: &ast.Identifier{Name: equalName, Idx: at}, LeftParenthesis: at,
		ArgumentList: []ast.Expression{n.Left, n.Right}, RightParenthesis: at}
	n.Operator, n.Left, n.Right = op, call, &ast.BooleanLiteral{Idx: at, Value: true}
}

// addEqual gives a script what callEqual calls.
func addEqual(vm *goja.Runtime) error {
	return vm.GlobalObject().DefineDataProperty(equalName, vm.ToValue(func(c goja.FunctionCall) goja.Value {
		return vm.ToValue(looseEqual(c.Argument(0), c.Argument(1)))
	}), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
}

// looseEqual is a == b. The engine reads a text on the right of a number as one, on the
// left only if it is an integer.
func looseEqual(a, b goja.Value) bool {
	_, isText := a.(goja.String)
	_, otherText := b.(goja.String)
	switch {
	case isText == otherText:
	case isText && isSimple(b):
		return b.ToNumber().Equals(a)
	case otherText && isSimple(a):
		return a.ToNumber().Equals(b)
	}
	return a.Equals(b)
}

// isSimple reports whether v is a number or a boolean.
func isSimple(v goja.Value) bool {
	if _, ok := v.(*goja.Object); ok {
		return false
	}
	_, isBool := v.Export().(bool)
	return isBool || goja.IsNumber(v)
}

func isRelation(op token.Token) bool {
	switch op {
	case token.LESS, token.LESS_OR_EQUAL, token.GREATER, token.GREATER_OR_EQUAL, token.INSTANCEOF, token.IN:
		return true
	}
	return false
}

// hasParentheses reports whether the right side of a comparison, itself one, stands in
// parentheses, which the tree does not say. If it does not, what lies between the two
// operators is an expression.
func hasParentheses(outer, right *ast.BinaryExpression, src string) bool {
	from := lastOf(src, outer.Operator, outer.Left.Idx0(), right.Idx0())
	to := lastOf(src, right.Operator, right.Idx0(), right.Right.Idx0())
	if from < 0 || to < from {
		return true
	}
	between := src[from+len(outer.Operator.String()) : to]
	if !strings.Contains(between, "(") {
		return false
	}
	_, err := parser.ParseFile(nil, scriptName, "("+between+"\n)", 0, parser.WithDisableSourceMaps)
	return err != nil
}

// lastOf finds the operator that stands before to: only blanks, comments and opening
// parentheses are between them.
func lastOf(src string, op token.Token, from, to file.Idx) int {
	if from < 1 || to < from || int(to) > len(src) {
		return -1
	}
	i := strings.LastIndex(src[from-1:to-1], op.String())
	if i < 0 {
		return -1
	}
	return int(from) - 1 + i
}

// visit goes through a tree, parents first.
func visit(v reflect.Value, see func(*ast.BinaryExpression)) {
	switch v.Kind() {
	case reflect.Interface:
		visit(v.Elem(), see)
	case reflect.Pointer:
		if v.IsNil() || v.Type() == reflect.TypeFor[*file.File]() {
			return
		}
		if n, ok := v.Interface().(*ast.BinaryExpression); ok {
			see(n)
		}
		visit(v.Elem(), see)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				visit(v.Field(i), see)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			visit(v.Index(i), see)
		}
	}
}
