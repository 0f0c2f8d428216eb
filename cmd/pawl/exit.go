package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// The exit codes of the commands that talk to a cluster.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitRefused     = 4
	exitUnreachable = 5
	exitUnknown     = 6
	exitExecution   = 7
)

// usageError is a mistake on the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// codedError ends the program with a code of its own.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// exitCode gives the code for an error.
func exitCode(err error) int {
	var usage *usageError
	var coded *codedError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &usage):
		return exitUsage
	case serverExit(err) != 0:
		return serverExit(err)
	case errors.Is(err, context.DeadlineExceeded):
		return exitUnknown
	}
	var remote *connect.Error
	if !errors.As(err, &remote) {
		return exitFailed
	}
	if d := detailOf(err); d != nil && !d.Definite && d.Code == "unknown_outcome" {
		return exitUnknown
	}
	return codeOf(remote.Code())
}

// exitCoder is an error of a node that knows how the process is to end.
type exitCoder interface{ ExitCode() int }

func serverExit(err error) int {
	var coder exitCoder
	if errors.As(err, &coder) {
		return coder.ExitCode()
	}
	return 0
}

func codeOf(c connect.Code) int {
	switch c {
	case connect.CodeNotFound:
		return exitNotFound
	case connect.CodeInvalidArgument, connect.CodeAlreadyExists, connect.CodeFailedPrecondition, connect.CodePermissionDenied,
		connect.CodeUnauthenticated, connect.CodeResourceExhausted, connect.CodeOutOfRange, connect.CodeUnimplemented:
		return exitRefused
	case connect.CodeUnavailable:
		return exitUnreachable
	case connect.CodeDeadlineExceeded, connect.CodeUnknown, connect.CodeAborted:
		return exitUnknown
	}
	return exitFailed
}

// detailOf is what a server says about an error, nil when it says nothing.
func detailOf(err error) *apiv1.ErrorDetail {
	var remote *connect.Error
	if !errors.As(err, &remote) {
		return nil
	}
	for _, d := range remote.Details() {
		if v, decodeErr := d.Value(); decodeErr == nil {
			if detail, ok := v.(*apiv1.ErrorDetail); ok {
				return detail
			}
		}
	}
	return nil
}

// fail tells an error on standard error and gives the exit code.
func fail(cmd *cobra.Command, err error) int {
	out := cmd.ErrOrStderr()
	text, word := err.Error(), ""
	var remote *connect.Error
	if errors.As(err, &remote) {
		text = remote.Message()
	}
	detail := detailOf(err)
	if detail != nil {
		word = detail.Code
	}
	if f := cmd.PersistentFlags().Lookup("output"); f != nil && f.Value.String() == "json" {
		problem := struct {
			Error    string           `json:"error"`
			Code     string           `json:"code,omitempty"`
			Exit     int              `json:"exit"`
			Field    string           `json:"field,omitempty"`
			Problems []*apiv1.Problem `json:"problems,omitempty"`
		}{Error: text, Code: word, Exit: exitCode(err), Field: detail.GetField(), Problems: detail.GetProblems()}
		line, _ := json.Marshal(problem)
		fmt.Fprintln(out, string(line))
		return exitCode(err)
	}
	if word != "" {
		text += " (" + word + ")"
	}
	fmt.Fprintln(out, "pawl: "+text)
	for _, p := range detail.GetProblems() {
		fmt.Fprintf(out, "  %s: %s\n", p.Path, p.Message)
	}
	return exitCode(err)
}
