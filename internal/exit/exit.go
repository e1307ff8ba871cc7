// Package exit has what the programs of pgharbor end with: the exit codes, and the error that knows
// its code and the next step for its reader.
package exit

import (
	"errors"
	"fmt"
	"io"

	"github.com/pgharbor/pgharbor/internal/shell"
	"github.com/pgharbor/pgharbor/internal/words"
)

// The exit codes, as scripts know them. Every program has the same ones.
const (
	Done        = 0
	Failed      = 1
	Usage       = 2
	Denied      = 3
	NotFound    = 4
	Unhealthy   = 5
	Integrity   = 6
	Unreachable = 7
)

// Problem is an error that knows its exit code, or the next step, or both.
type Problem struct {
	// Code is Done if the exit code follows from Err.
	Code int
	// Text is what failed and why. If it and Err are empty, what was printed has told it.
	Text string
	Hint string
	Err  error
}

// Error returns the text without the hint.
func (p *Problem) Error() string {
	if p.Text == "" && p.Err != nil {
		return p.Err.Error()
	}
	return p.Text
}

// Unwrap returns what the problem comes from, or nil.
func (p *Problem) Unwrap() error { return p.Err }

// Fail returns a problem with the text of fmt.Errorf, which wraps what %w names.
func Fail(code int, format string, args ...any) *Problem {
	err := fmt.Errorf(format, args...)
	return &Problem{Code: code, Text: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint adds the next step, in which each argument is quoted as shell.Command does.
func (p *Problem) WithHint(format string, args ...any) *Problem {
	p.Hint = shell.Command(format, args...)
	return p
}

// OfFailure returns the exit code of a job that failed for this reason, a word of package words.
func OfFailure(failure string) int {
	switch failure {
	case words.FailureIntegrity:
		return Integrity
	case words.FailureNotFound:
		return NotFound
	case words.FailureNotAllowed:
		return Denied
	case words.FailureUnreachable:
		return Unreachable
	default:
		return Failed
	}
}

// Report writes an error as every program does: one line, and the next step as a second one. The
// caller has made both texts safe for a terminal.
func Report(w io.Writer, program, text, hint string) {
	fmt.Fprintf(w, "%s: %s\n", program, text)
	if hint != "" {
		fmt.Fprintf(w, "hint: %s\n", hint)
	}
}
