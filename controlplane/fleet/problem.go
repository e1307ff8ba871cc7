package fleet

import (
	"errors"
	"fmt"

	"github.com/pgharbor/pgharbor/internal/shell"
)

// The causes that a caller can act upon. Package api maps each to one gRPC code; whatever is not
// one of these is an internal error.
var (
	ErrInvalid         = errors.New("invalid")         // the request makes no sense
	ErrNotFound        = errors.New("not found")       // no such thing
	ErrExists          = errors.New("exists")          // it is there already
	ErrConflict        = errors.New("conflict")        // the state of things forbids it
	ErrUnauthenticated = errors.New("unauthenticated") // nobody that we know
	ErrDenied          = errors.New("denied")          // known, and not allowed
	ErrUnreachable     = errors.New("unreachable")     // the agent is away
	ErrIntegrity       = errors.New("integrity")       // a hash or a count does not hold
)

// Problem is an error that a person reads: what is wrong, and what to do.
type Problem struct {
	Cause error // one of the sentinels above
	Text  string
	Hint  string // the next step, or empty
	// Approval is the id of the approval that this waits for, or empty.
	Approval string
}

// Error returns the text without the hint.
func (p *Problem) Error() string { return p.Text }

// Unwrap returns the cause, for errors.Is.
func (p *Problem) Unwrap() error { return p.Cause }

// NewProblem returns a Problem without a hint.
func NewProblem(cause error, format string, args ...any) *Problem {
	return &Problem{Cause: cause, Text: fmt.Sprintf(format, args...)}
}

// WithHint returns the problem with the next step for its reader, who may paste it: each argument
// is quoted as shell.Command does.
func (p *Problem) WithHint(format string, args ...any) *Problem {
	p.Hint = shell.Command(format, args...)
	return p
}
