package fleet

import (
	"time"

	"github.com/pgharbor/pgharbor/internal/words"
)

// JobKind is what a job asks of an agent.
type JobKind string

// The kinds of job.
const (
	JobBackup  JobKind = "backup"
	JobRestore JobKind = "restore"
	JobSend    JobKind = "send"
	JobVerify  JobKind = "verify"
	JobHold    JobKind = "hold"
	JobRelease JobKind = "release"
	JobUndo    JobKind = "undo"    // of a restore that replaced a database
	JobPreview JobKind = "preview" // of a restore
)

// JobState is how far a job has come.
type JobState string

// A job is a row before anyone learns of it, and moves forward only. Lost is final for anyone who
// waits, yet a result that still arrives replaces it: what the agent did is the truth.
const (
	JobQueued    JobState = words.Queued
	JobOffered   JobState = words.Offered
	JobRunning   JobState = words.Running
	JobSucceeded JobState = words.Succeeded
	JobFailed    JobState = words.Failed
	JobCancelled JobState = words.Cancelled
	JobLost      JobState = words.Lost
)

// Final reports whether nobody needs to wait any longer.
func (s JobState) Final() bool { return words.Final(string(s)) }

// FailureUnreachable marks a job that failed because its agent did not answer.
// The other words come from the agent; package words has them all.
const FailureUnreachable = words.FailureUnreachable

// FailureOther marks a job that failed for what no other word says.
const FailureOther = words.FailureOther

const (
	// AcceptWithin is how long an agent that is connected may take to begin a
	// job that it was offered.
	AcceptWithin = time.Minute
	// SilentWithin is how long the agent of a running job may be away before
	// those who wait for the job are told that it is lost.
	SilentWithin = 10 * time.Minute
)

// Job is something the control plane asked an agent to do.
type Job struct {
	ID          string
	RequestID   string // makes a repeated request return the same job
	Kind        JobKind
	Instance    string
	Spec        JobSpec
	State       JobState
	RequestedBy string
	CreatedAt   time.Time
	StartedAt   time.Time
	FinishedAt  time.Time
	Deadline    time.Time // to have begun
	Error       string
	Failure     string
	Progress    Progress
	// AuditSequence is the entry of the audit log that the job's end completes.
	AuditSequence int64
}

// JobSpec is the work itself, whichever the kind; kept as JSON in the catalog.
type JobSpec struct {
	BackupID       string `json:"backup_id,omitempty"`
	Database       string `json:"database,omitempty"` // of a backup: empty means all that the agent covers
	TargetDatabase string `json:"target_database,omitempty"`
	Replace        bool   `json:"replace,omitempty"`    // the target, if it exists
	RestoreID      string `json:"restore_id,omitempty"` // of the restore to undo
	Offset         int64  `json:"offset,omitempty"`
	// SourceInstance has the backup of a restore that runs on another instance.
	SourceInstance string `json:"source_instance,omitempty"`
	// TargetEnrolment is whom that backup goes to, when it was asked for: an agent that is enrolled
	// under the same name later is another one.
	TargetEnrolment string `json:"target_enrolment,omitempty"`
	// Unsealed: what leaves that instance is plaintext.
	Unsealed bool `json:"unsealed,omitempty"`
	// Whole asks for the manifest and the globals file of a file that is sent, too.
	Whole     bool   `json:"whole,omitempty"`
	WithRoles string `json:"with_roles,omitempty"`
	// TrustContent: the code in the dump may run with all the rights of the agent.
	TrustContent bool   `json:"trust_content,omitempty"`
	Reason       string `json:"reason,omitempty"`
}

// MeantFor refuses a job that lets a backup leave its instance, if another agent has the target's
// name by now: those who asked for it, or approved of it, meant the one of then. Of a job of an
// older version nothing is known.
func (j Job) MeantFor(enrolment string) error {
	if j.Spec.TargetEnrolment == "" || j.Spec.TargetEnrolment == enrolment {
		return nil
	}
	return NewProblem(ErrConflict, "the agent of %s was enrolled again since the restore was asked for: ask for it again", j.Instance)
}

// The roles that a restore makes, if they are missing; empty is none.
const (
	RolesMissing   = words.RolesMissing   // without what only a superuser may give
	RolesSuperuser = words.RolesSuperuser // as they were
)

// Progress is how far a job has come; TotalBytes is zero if the end is not known.
type Progress struct {
	Phase      string
	DoneBytes  int64
	TotalBytes int64
	// Tables; both are zero if they are not distinguished.
	DoneObjects  int64
	TotalObjects int64
}

// JobResult is how a job ended, in the agent's words.
type JobResult struct {
	State      JobState
	Error      string
	Failure    string
	FinishedAt time.Time
	// Restore is nil for all but restores that replaced a database, and undos.
	Restore *RestoreOutcome
	// Checks are of a preflight to a restore.
	Checks []PreflightCheck
	// Warnings are what a restored database lacks.
	Warnings []string
}
