package job

import (
	"context"
	"errors"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/state"
)

// Job is what the control plane asks for.
type Job struct {
	ID   string
	Spec Spec // nil for a kind that this agent does not know
}

// Spec is what one kind of job asks for, and how that is done. A new kind is a
// type that implements it, in a file of its own, and a line in specs.
type Spec interface {
	// Kind is the word for it in policies, logs and the history.
	Kind() string
	// check bounds what is asked for, before any of it gets near a path, a server
	// or a log.
	check() error
	// about is what the history has of the job whatever becomes of it.
	about() state.About
	// refused says what of it the host's policy does not allow; "" for nothing.
	refused(policy.Policy) string
	// run does the work, and adds to the task's result what it has in addition to its end.
	run(ctx context.Context, on *workers, task *task) error
}

// claimer is a Spec whose work leaves something on the server if it is interrupted. Nothing is
// recorded of one that may not begin, so that nobody cleans up after it.
type claimer interface {
	claim(ctx context.Context, on *workers, jobID string) (*state.Restore, error)
}

// task is a job under way.
type task struct {
	id       string
	allowed  policy.Policy // as it was when the job began
	result   *state.Result
	progress func(backup.Progress)
}

// workers are who does the work of jobs.
type workers struct {
	engine        *backup.Engine
	runs          *Runs
	restorer      *Restorer
	displacements *Displacements
	verifier      *Verifier
	holds         *Holds

	// Anyone who asks for much keeps the schedule waiting for one, and not for all.
	askedRuns, askedVerifications *turns
	sends                         *turns
}

// specs has one of each kind of job.
var specs = []Spec{
	BackupSpec{}, RestoreSpec{}, PreviewSpec{}, UndoSpec{}, SendSpec{}, HoldSpec{}, HoldSpec{Release: true}, VerifySpec{},
}

// Kinds lists the kinds of job that this agent does.
func Kinds() []string {
	var kinds []string
	for _, spec := range specs {
		kinds = append(kinds, spec.Kind())
	}
	return kinds
}

// unknownSpec is that of a job whose kind the agent does not know.
type unknownSpec struct{}

var errUnknownKind = errors.New("this agent does not know how to do the job; it may be older than the control plane")

func (unknownSpec) Kind() string                               { return "unknown" }
func (unknownSpec) check() error                               { return errUnknownKind }
func (unknownSpec) about() state.About                         { return state.About{} }
func (unknownSpec) refused(policy.Policy) string               { return "" }
func (unknownSpec) run(context.Context, *workers, *task) error { return errUnknownKind }
