// Package words has the words by which the programs of pgharbor tell one another the state of
// something: on the wire, in manifests, in the catalog and in JSON. People and scripts read them
// too, so none of them ever changes. What a word means is documented at the type that has it, in
// the packages that use it.
package words

// States of a run, a job, a restore and a test restore.
const (
	Queued    = "queued"
	Offered   = "offered"
	Running   = "running"
	Succeeded = "succeeded"
	Failed    = "failed"
	Cancelled = "cancelled"
	Lost      = "lost"
)

// Failures: why something did not succeed, as far as a caller can act upon it.
const (
	FailureIntegrity   = "integrity"
	FailurePassphrase  = "passphrase"
	FailureExists      = "exists"
	FailureNotFound    = "not-found"
	FailureNotAllowed  = "not-allowed" // by the policy of the agent's host
	FailureContent     = "content"     // what is in the dump would gain rights by a restore
	FailureUnreachable = "unreachable" // the agent did not answer
	FailureOther       = "failed"
)

// States of a stored backup.
const (
	BackupPresent = "present"
	BackupMissing = "missing"
	BackupDamaged = "damaged"
	BackupRemoved = "removed"
)

// What retention says of a backup.
const (
	RetentionKept     = "kept"
	RetentionKeptLast = "kept-last"
	RetentionNeeded   = "kept-needed" // by another backup that stays
	RetentionExpired  = "expired"
)

// Ways of a test restore.
const (
	TestRestoreThrowaway = "throwaway"
	TestRestoreInstance  = "instance"
)

// Results of a check before a restore.
const (
	CheckOK     = "OK"
	CheckWarn   = "WARN"
	CheckFailed = "FAILED"
)

// Which roles a restore makes.
const (
	RolesMissing   = "missing"
	RolesSuperuser = "missing-superuser"
)

// States of an approval.
const (
	ApprovalPending  = "pending"
	ApprovalApproved = "approved"
	ApprovalInUse    = "in-use"
	ApprovalUsed     = "used"
	ApprovalDenied   = "denied"
	ApprovalExpired  = "expired"
	ApprovalVoid     = "void"
)

// Roles of a person, from the one that may do all to the one that may only look.
const (
	RoleOwner    = "OWNER"
	RoleOperator = "OPERATOR"
	RoleViewer   = "VIEWER"
)

// Final returns whether a job in this state will not change any more, but for a result that arrives after it was lost.
func Final(state string) bool {
	switch state {
	case Succeeded, Failed, Cancelled, Lost:
		return true
	default:
		return false
	}
}
