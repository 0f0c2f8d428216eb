package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	pawl "github.com/pawlhq/pawl/sdk"
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
	var coder exitCoder
	var remote *pawl.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &coder):
		return coder.ExitCode()
	case errors.As(err, &remote):
		return remoteExit(remote)
	case errors.Is(err, context.DeadlineExceeded):
		return exitUnknown
	}
	return exitFailed
}

// exitCoder is an error of a node that knows how the process is to end.
type exitCoder interface{ ExitCode() int }

// remoteExit gives the code for an answer of a cluster, or for none.
func remoteExit(e *pawl.Error) int {
	switch {
	case errors.Is(e, pawl.ErrUnknownOutcome):
		return exitUnknown
	case errors.Is(e, pawl.ErrNotFound):
		return exitNotFound
	case errors.Is(e, pawl.ErrUnavailable):
		return exitUnreachable
	}
	switch e.Code {
	case "internal", "faulted":
		return exitFailed
	case "deadline", "deadline_exceeded", "canceled", "unknown_outcome":
		return exitUnknown
	}
	return exitRefused
}

// problem is an error as it is printed with -o json: one object on standard error.
type problem struct {
	Error       string    `json:"error"`
	Code        string    `json:"code,omitempty"`
	Exit        int       `json:"exit"`
	Field       string    `json:"field,omitempty"`
	ExecutionID string    `json:"execution_id,omitempty"`
	TaskID      string    `json:"task_id,omitempty"`
	Problems    []finding `json:"problems,omitempty"`
}

// finding is one thing wrong with a document.
type finding struct {
	File    string `json:"file,omitempty"`
	Path    string `json:"path"`
	Message string `json:"message"`
}

// text names the place, when there is one, and what is wrong there.
func (f finding) text() string {
	at := f.Path
	if f.File != "" {
		at = strings.TrimSuffix(f.File+": "+f.Path, ": ")
	}
	if at == "" {
		return f.Message
	}
	return at + ": " + f.Message
}

// findingsError refuses documents for what is wrong with them.
type findingsError struct {
	summary  string
	code     int
	findings []finding
}

func (e *findingsError) Error() string { return e.summary }

// ExitCode is what the command that found them ends with.
func (e *findingsError) ExitCode() int { return e.code }

// describe turns an error into what is printed of it.
func describe(err error) problem {
	p := problem{Error: err.Error(), Exit: exitCode(err)}
	var remote *pawl.Error
	if errors.As(err, &remote) {
		p.Code, p.Field, p.ExecutionID, p.TaskID = remote.Code, remote.Field, remote.ExecutionID, remote.TaskID
		for _, x := range remote.Problems {
			p.Problems = append(p.Problems, finding{Path: x.Path, Message: x.Message})
		}
	}
	var found *findingsError
	if errors.As(err, &found) {
		p.Code, p.Problems = "invalid_definition", found.findings
	}
	return p
}

// fail tells an error on standard error and gives the exit code.
func fail(cmd *cobra.Command, err error, args []string) int {
	out, p := cmd.ErrOrStderr(), describe(err)
	if asksForJSON(cmd, args) {
		line, encodeErr := json.Marshal(p)
		if encodeErr == nil {
			fmt.Fprintln(out, string(line))
			return p.Exit
		}
	}
	text := p.Error
	if p.Code != "" {
		text += " (" + p.Code + ")"
	}
	fmt.Fprintln(out, "pawl: "+text)
	for _, x := range p.Problems {
		fmt.Fprintln(out, "  "+x.text())
	}
	return p.Exit
}

// asksForJSON also looks at the arguments themselves: flags behind a wrong one were
// not read.
func asksForJSON(cmd *cobra.Command, args []string) bool {
	if f := cmd.PersistentFlags().Lookup("output"); f != nil && f.Value.String() == "json" {
		return true
	}
	for i, a := range args {
		switch a {
		case "--":
			return false
		case "-ojson", "-o=json", "--output=json":
			return true
		case "-o", "--output":
			if i+1 < len(args) && args[i+1] == "json" {
				return true
			}
		}
	}
	return false
}
