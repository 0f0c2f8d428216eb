package pawl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// Errors that calls answer with; test for them with errors.Is.
var (
	// ErrNotFound: the execution, task, definition or queue does not exist.
	ErrNotFound = errors.New("not found")
	// ErrAlreadyExists: the key of a start is taken, or another document has the name
	// and version of a definition.
	ErrAlreadyExists = errors.New("already exists")
	// ErrConflict: the state does not allow the change.
	ErrConflict = errors.New("conflict")
	// ErrOverloaded: the cluster refused the call for want of room, and it has not
	// happened.
	ErrOverloaded = errors.New("overloaded")
	// ErrUnavailable: no node could be reached, or there was no leader.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnknownOutcome: the change may have happened, or may still happen.
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrLeaseLost: the task belongs to another attempt by now, or has ended
	// otherwise. It is also the cause of the context of a handler whose lease is lost.
	ErrLeaseLost = errors.New("lease lost")
)

// Codes of errors that this package makes itself; the others come from the cluster.
const (
	codeUnreachable = "unreachable" // no answer from the node
	codeMalformed   = "malformed"   // does not fit into a message
)

// Error is how every call of this package and of the raw clients fails.
type Error struct {
	// Code is a stable word of the API, such as not_found or stale_lease.
	Code string
	// Message says what is wrong, for people.
	Message string
	// Field is the field of the request at fault, in its JSON form, if one is.
	Field string
	// Problems lists what is wrong with a document, when there are several things.
	Problems []Problem
	// ExecutionID and TaskID are set when the error is about one.
	ExecutionID, TaskID string
	// RetryAfter is how long the cluster asks to wait, 0 when that does not help.
	RetryAfter time.Duration
	// Definite says that the change has not happened and will not. It is true for
	// all that only reads.
	Definite bool

	cause error
}

// Problem is one thing wrong with a document.
type Problem struct {
	Path    string // as in tasks[0].inputParameters.total
	Message string
}

// Error gives the message.
func (e *Error) Error() string { return e.Message }

// Unwrap gives the error of the connection or context beneath.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether e is of the kind that one of this package's Err… variables names.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrUnknownOutcome:
		return !e.Definite
	case ErrNotFound, ErrAlreadyExists, ErrConflict, ErrOverloaded, ErrUnavailable, ErrLeaseLost:
		return kinds[e.Code] == target
	}
	return false
}

var kinds = map[string]error{
	"not_found":         ErrNotFound,
	"no_definition":     ErrNotFound,
	"already_exists":    ErrAlreadyExists,
	"conflict":          ErrConflict,
	"duplicate_request": ErrConflict,
	"nothing_waits":     ErrConflict,
	"stale_lease":       ErrLeaseLost,
	"overloaded":        ErrOverloaded,
	"busy":              ErrOverloaded,
	"exhausted":         ErrOverloaded,
	"no_leader":         ErrUnavailable,
	"not_leader":        ErrUnavailable,
	"draining":          ErrUnavailable,
	"unavailable":       ErrUnavailable,
	codeUnreachable:     ErrUnavailable,
}

// passes reports whether the cause of e goes away by itself, so that the same call may
// succeed later. While an execution is busy, the node has tried again for seconds.
func (e *Error) passes() bool {
	switch e.Code {
	case "no_leader", "not_leader", "overloaded", "draining", "unavailable", codeUnreachable,
		"unknown_outcome", "deadline", "canceled", "deadline_exceeded":
		return true
	}
	return false
}

// dialError marks that a connection was never made: nothing was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// detailOf gives the API's own description of err, nil when it has none.
func detailOf(ce *connect.Error) *apiv1.ErrorDetail {
	for _, d := range ce.Details() {
		if v, err := d.Value(); err == nil {
			if ed, ok := v.(*apiv1.ErrorDetail); ok {
				return ed
			}
		}
	}
	return nil
}

// fromDetail gives the error that d describes.
func fromDetail(d *apiv1.ErrorDetail, cause error) *Error {
	e := &Error{
		Code: d.Code, Message: d.Message, Field: d.Field,
		ExecutionID: d.ExecutionId, TaskID: d.TaskId,
		RetryAfter: time.Duration(d.RetryAfterMillis) * time.Millisecond,
		Definite:   d.Definite, cause: cause,
	}
	for _, p := range d.Problems {
		e.Problems = append(e.Problems, Problem{Path: p.Path, Message: p.Message})
	}
	return e
}

// fault classifies an error of the protocol or of the connection.
func fault(err error) *Error {
	var done *Error
	if errors.As(err, &done) {
		return done
	}
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return &Error{Code: codeUnreachable, Message: err.Error(), cause: err}
	}
	if d := detailOf(ce); d != nil {
		return fromDetail(d, err)
	}
	if connect.IsWireError(err) {
		// Not from Pawl: a proxy, or another program at that address.
		return &Error{Code: ce.Code().String(), Message: ce.Message(), Definite: surelyRefused(ce.Code()), cause: err}
	}
	if strings.HasPrefix(ce.Message(), "marshal message") {
		return &Error{Code: codeMalformed, Message: ce.Message(), Definite: true, cause: err}
	}
	var dial *dialError
	return &Error{Code: codeUnreachable, Message: ce.Message(), Definite: errors.As(err, &dial), cause: err}
}

func surelyRefused(c connect.Code) bool {
	switch c {
	case connect.CodeInvalidArgument, connect.CodeNotFound, connect.CodePermissionDenied,
		connect.CodeUnauthenticated, connect.CodeUnimplemented, connect.CodeResourceExhausted:
		return true
	}
	return false
}

// gaveUp is the error of a call whose time ended before an answer. unknown says that
// one of its tries may have been taken.
func gaveUp(ctx context.Context, last *Error, unknown bool) *Error {
	e := *last
	e.Definite = !unknown
	e.Message = fmt.Sprintf("%s: %v", last.Message, context.Cause(ctx))
	e.cause = errors.Join(context.Cause(ctx), last.cause)
	return &e
}
