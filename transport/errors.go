package transport

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"connectrpc.com/connect"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// Codes of errors that do not come from the machine. Those of the machine are fsm.Code.
const (
	CodeUnknownOutcome fsm.Code = "unknown_outcome"
	CodeNoLeader       fsm.Code = "no_leader"
	CodeNotLeader      fsm.Code = "not_leader"
	CodeOverloaded     fsm.Code = "overloaded"
	CodeDeadline       fsm.Code = "deadline"
	CodeCanceled       fsm.Code = "canceled"
	CodeDraining       fsm.Code = "draining"
	CodeInternal       fsm.Code = "internal"
)

// retrySoon is what clients are told to wait when the cause passes by itself: an
// election takes about a second, a sweep less.
const retrySoon fsm.Millis = 200

// wire is how one code is shown.
type wire struct {
	connect connect.Code
	http    int
	retry   fsm.Millis // default of Retry-After; 0 when waiting does not help
}

// table says for every code how it is shown. An unknown outcome is Unknown, never
// Unavailable, which clients and proxies take as leave to try again with another
// request id.
var table = map[fsm.Code]wire{
	fsm.NotFound:          {connect.CodeNotFound, http.StatusNotFound, 0},
	fsm.AlreadyExists:     {connect.CodeAlreadyExists, http.StatusConflict, 0},
	fsm.Conflict:          {connect.CodeFailedPrecondition, http.StatusConflict, 0},
	fsm.StaleLease:        {connect.CodeFailedPrecondition, http.StatusConflict, 0},
	fsm.Busy:              {connect.CodeUnavailable, http.StatusServiceUnavailable, retrySoon},
	fsm.Malformed:         {connect.CodeInvalidArgument, http.StatusBadRequest, 0},
	fsm.InvalidDefinition: {connect.CodeInvalidArgument, http.StatusBadRequest, 0},
	fsm.NoDefinition:      {connect.CodeNotFound, http.StatusNotFound, 0},
	fsm.TooLarge:          {connect.CodeInvalidArgument, http.StatusRequestEntityTooLarge, 0},
	fsm.Duplicate:         {connect.CodeFailedPrecondition, http.StatusConflict, 0},
	fsm.NothingWaits:      {connect.CodeFailedPrecondition, http.StatusNotFound, 0},
	fsm.Faulted:           {connect.CodeInternal, http.StatusInternalServerError, 0},
	fsm.Exhausted:         {connect.CodeResourceExhausted, http.StatusTooManyRequests, 0},
	fsm.NotRestartable:    {connect.CodeFailedPrecondition, http.StatusNotFound, 0},
	fsm.NothingToRetry:    {connect.CodeFailedPrecondition, http.StatusConflict, 0},
	CodeUnknownOutcome:    {connect.CodeUnknown, http.StatusGatewayTimeout, 0},
	CodeNoLeader:          {connect.CodeUnavailable, http.StatusServiceUnavailable, retrySoon},
	CodeNotLeader:         {connect.CodeUnavailable, http.StatusServiceUnavailable, retrySoon},
	CodeOverloaded:        {connect.CodeResourceExhausted, http.StatusTooManyRequests, retrySoon},
	CodeDeadline:          {connect.CodeDeadlineExceeded, http.StatusGatewayTimeout, 0},
	CodeCanceled:          {connect.CodeCanceled, 499, 0},
	CodeDraining:          {connect.CodeUnavailable, http.StatusServiceUnavailable, retrySoon},
	CodeInternal:          {connect.CodeInternal, http.StatusInternalServerError, 0},
}

// errDraining refuses what is new on a node that is about to stop.
var errDraining = errors.New("the node is about to stop")

// panicError is a panic of a handler.
type panicError struct{ value any }

func (*panicError) Error() string { return "internal error, see the node's log" }

// Fault is an error as every API shows it.
type Fault struct {
	Code       fsm.Code
	Connect    connect.Code
	HTTP       int // status of plain HTTP
	Message    string
	RetryAfter fsm.Millis // 0 when waiting does not help
	LeaderAddr string     // client address to ask instead, when known
	// Definite says that the change has not happened and will not.
	Definite  bool
	Rejection *fsm.Rejection // set when the machine refused
}

// Describe says how err is shown. A context error is taken as that of a change whose
// command may be under way: its outcome is not definite. Describe knows every error of
// package fsm; any other is internal, and its text is not shown.
func Describe(err error) Fault {
	f := Fault{Message: err.Error(), Definite: fsm.Definite(err)}
	var notLeader *fsm.NotLeaderError
	var overloaded *fsm.OverloadedError
	var panicked *panicError
	retry := fsm.Millis(0)
	switch {
	case errors.As(err, &f.Rejection):
		f.Code, f.Message = f.Rejection.Code, f.Rejection.Error()
	case errors.As(err, &notLeader):
		f.Code, f.LeaderAddr = CodeNotLeader, notLeader.Addr
	case errors.As(err, &overloaded):
		f.Code, retry = CodeOverloaded, overloaded.RetryAfter
	case errors.Is(err, fsm.ErrUnknown):
		f.Code = CodeUnknownOutcome
	case errors.Is(err, fsm.ErrNoLeader):
		f.Code = CodeNoLeader
	case errors.Is(err, context.DeadlineExceeded):
		f.Code = CodeDeadline
	case errors.Is(err, context.Canceled):
		f.Code = CodeCanceled
	case errors.Is(err, errDraining):
		f.Code, f.Definite = CodeDraining, true
	case errors.As(err, &panicked):
		f.Code = CodeInternal
	default:
		f.Code, f.Message = CodeInternal, "internal error, see the node's log"
	}
	row, ok := table[f.Code]
	if !ok {
		row = table[CodeInternal]
	}
	f.Connect, f.HTTP, f.RetryAfter = row.connect, row.http, row.retry
	if retry > 0 {
		f.RetryAfter = retry
	}
	return f
}

// Detail gives the fault as it travels with errors and in the messages of streams.
func (f *Fault) Detail() *apiv1.ErrorDetail {
	d := &apiv1.ErrorDetail{
		Code:             string(f.Code),
		Message:          validText(f.Message),
		RetryAfterMillis: int64(f.RetryAfter),
		LeaderAddress:    f.LeaderAddr,
		Definite:         f.Definite,
	}
	r := f.Rejection
	if r == nil {
		return d
	}
	d.Field = validText(r.Field)
	d.GotLease, d.WantLease = uint64(r.Got), uint64(r.Want)
	if !r.Exec.IsZero() {
		d.ExecutionId = r.Exec.String()
	}
	if !r.Task.IsZero() {
		d.TaskId = r.Task.String()
	}
	for _, p := range r.Problems {
		d.Problems = append(d.Problems, &apiv1.Problem{Path: validText(p.Path), Message: validText(p.Message)})
	}
	return d
}

// RetrySeconds is RetryAfter as the header of HTTP wants it, empty when waiting does
// not help.
func (f *Fault) RetrySeconds() string {
	if f.RetryAfter <= 0 {
		return ""
	}
	return strconv.FormatInt(int64(f.RetryAfter+999)/1000, 10)
}

// connectError gives the fault to the protocols.
func (f *Fault) connectError() *connect.Error {
	e := connect.NewError(f.Connect, errors.New(validText(f.Message)))
	if d, err := connect.NewErrorDetail(f.Detail()); err == nil {
		e.AddDetail(d)
	}
	if s := f.RetrySeconds(); s != "" {
		e.Meta().Set("Retry-After", s)
	}
	return e
}

// changeError is the answer to a change that was not done, or not surely.
func changeError(err error) error {
	f := Describe(err)
	return f.connectError()
}

// readError is the answer to a read: it has no outcome that could be unknown.
func readError(err error) error {
	f := Describe(err)
	f.Definite = true
	return f.connectError()
}

// badField refuses a request for one of its fields, named as in the JSON form.
func badField(field, message string) *fsm.Rejection {
	return &fsm.Rejection{Code: fsm.Malformed, Field: field, Message: field + ": " + message}
}

func notFound(what, name string) *fsm.Rejection {
	return &fsm.Rejection{Code: fsm.NotFound, Message: what + " " + name + " not found"}
}
