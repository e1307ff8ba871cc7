package fleet

import "time"

// Keep is for how long the catalog keeps what is over. What health, retention, an undo or a chain
// of signatures still rests on stays in any case, and so does the audit log.
type Keep struct {
	Runs    time.Duration // since they began
	Jobs    time.Duration // since they ended; likewise requests for an approval
	Removed time.Duration // backups, since their removal was told
	Invites time.Duration // since they expired
}

const day = 24 * time.Hour

// DefaultKeep is a quarter of a year, in which somebody asks what has happened.
var DefaultKeep = Keep{Runs: 90 * day, Jobs: 90 * day, Removed: 90 * day, Invites: 30 * day}

// KeepAtLeast is how long runs, jobs and backups are kept in any case: health looks
// a week back.
const KeepAtLeast = 8 * day
