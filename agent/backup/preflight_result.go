package backup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/internal/words"
)

// Results of a PreflightCheck.
const (
	CheckOK     = words.CheckOK
	CheckWarn   = words.CheckWarn
	CheckFailed = words.CheckFailed // the restore would fail, so it does not begin
)

// PreflightCheck is one line of what is checked before a restore, all in one line of text.
type PreflightCheck struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Detail string `json:"detail"`
	// Remedy says what to do, where it is not OK.
	Remedy string `json:"remedy,omitempty"`

	err error // that failed
}

// String is the line as it is printed.
func (c PreflightCheck) String() string {
	line := c.Name + ": " + c.Detail
	if c.Remedy != "" {
		line += " — " + c.Remedy
	}
	return line
}

// PreflightError says that a restore did not begin, because of checks that failed. Nothing was touched.
type PreflightError struct{ Failed []PreflightCheck }

// Error implements error. What to do is in the checks.
func (e *PreflightError) Error() string {
	var lines []string
	for _, c := range e.Failed {
		lines = append(lines, c.Name+": "+c.Detail)
	}
	return strings.Join(lines, "; ")
}

// FailedChecks returns the checks that kept a restore from beginning, where that is what an error says.
func FailedChecks(err error) []PreflightCheck {
	var checks *PreflightError
	if !errors.As(err, &checks) {
		return nil
	}
	return checks.Failed
}

// Unwrap returns what the failed checks failed with, so that errors.Is and Failure work.
func (e *PreflightError) Unwrap() []error {
	var all []error
	for _, c := range e.Failed {
		if c.err != nil {
			all = append(all, c.err)
		}
	}
	return all
}

// OriginCheck says who made a file, and what that means for its load; err is why it is refused, or nil.
func OriginCheck(origin Origin, confined bool, err error) PreflightCheck {
	var l checklist
	switch {
	case errors.Is(err, ErrNotAllowed):
		l.fail("origin", err, "what the host allows: pgharbor agents show NAME")
	case err != nil:
		l.fail("origin", err, "upgrade psql; or, if you know who made the file, --trust-origin by hand")
	case confined:
		l.warn("origin", fmt.Sprintf("nothing proves who made it (%s); it is loaded as a role that has the new database and nothing else", origin.Kind),
			"if you know who made it, --trust-origin by hand restores owners and grants too")
	case !origin.Proven():
		l.warn("origin", "nothing proves who made it; it is loaded with all the rights of the agent, because you said so", "")
	default:
		l.ok("origin", fmt.Sprintf("an agent of yours made it (%s)", origin.Kind))
	}
	return l.checks[0]
}

// TestRestoreCheck says what the newest test restore foretells of a restore; p is nil where there was none. It keeps none from
// beginning: what it has seen may have changed since, with the server, its roles or this program.
func TestRestoreCheck(p *TestRestore, trustContent bool) PreflightCheck {
	var l checklist
	at := func() string { return p.FinishedAt.Format(time.RFC3339) }
	switch {
	case p == nil:
		l.warn("proof", "it was never restored for a test", "verify it, to know that it restores")
	case p.State == TestRestoreFailed:
		l.warn("proof", fmt.Sprintf("the test restore of %s failed: %s", at(), strings.Join(p.Differences, "; ")), "restore another backup")
	case p.Refuses != "" && !trustContent:
		l.warn("proof", fmt.Sprintf("the test restore of %s says that this restore will be refused: %s", at(), p.Refuses),
			"--trust-content loads it, where the host allows that; or restore another backup")
	default:
		l.ok("proof", "it was restored for a test on "+at())
	}
	return l.checks[0]
}

// checklist collects checks.
type checklist struct{ checks []PreflightCheck }

func (l *checklist) ok(name, detail string) {
	l.checks = append(l.checks, PreflightCheck{Name: name, Result: CheckOK, Detail: detail})
}

func (l *checklist) warn(name, detail, remedy string) {
	l.checks = append(l.checks, PreflightCheck{Name: name, Result: CheckWarn, Detail: oneLine(detail), Remedy: remedy})
}

func (l *checklist) fail(name string, err error, remedy string) {
	l.checks = append(l.checks, PreflightCheck{Name: name, Result: CheckFailed, Detail: oneLine(err.Error()), Remedy: remedy, err: err})
}

// unknown is a check that could not be made, which is no reason not to restore.
func (l *checklist) unknown(name string, err error) {
	l.warn(name, "it can't be told: "+err.Error(), "")
}

// failed is a PreflightError where a check failed, or why the checks were broken off.
func (l *checklist) failed(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	failed := &PreflightError{}
	for _, c := range l.checks {
		if c.Result == CheckFailed {
			failed.Failed = append(failed.Failed, c)
		}
	}
	if len(failed.Failed) == 0 {
		return nil
	}
	return failed
}

func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }

var errMissing = errors.New("the server does not have")
