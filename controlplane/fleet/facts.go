package fleet

import "time"

// Facts is all that is known of one database when it is evaluated.
type Facts struct {
	Instance string
	// Database is empty for an instance of which no database is known.
	Database string
	// Agent is what is known of the instance's agent.
	Agent AgentFacts
	// Exists: the instance has the database, by its agent's last word.
	Exists bool
	// Covered: the agent's schedule backs it up.
	Covered bool
	// SeenSince is since when the instance is known to have it; zero: for long.
	SeenSince time.Time
	// RestoredAt is when a restore of pgharbor made the database; zero: none did.
	RestoredAt time.Time
	// NewestBackup is the newest one that is present and complete and has not failed its test
	// restore, or nil. Of its manifest it has what is evaluated: whether it is encrypted, and the
	// size of the dump.
	NewestBackup *Backup
	// NewestRun is the one that ended last, or nil.
	NewestRun *Run
	// Running is the run under way that began first, or nil.
	Running *Run
	// LongestRun is how long the longest of the last runs that succeeded took, if one is under way;
	// zero if there is none.
	LongestRun time.Duration
	// Sizes are those of the good backups of the SizeWindow before the newest,
	// also of those that are removed by now; oldest first.
	Sizes []Size
	// Missing is how many backups are gone from the agent's disk without
	// having been removed.
	Missing int
	// Damaged is how many backups have a file that is not what was stored, and
	// Damage is what is wrong with the newest of them.
	Damaged int
	Damage  string
	// TestRestored is the backup whose test restore is the newest, or nil, and of it the id and the
	// test restore; RestoreTakes is how long the newest test restore that succeeded took, zero if
	// none did.
	TestRestored *Backup
	RestoreTakes time.Duration
	// Warnings are what an operator should know whatever the verdict.
	Warnings []string
}

// AgentFacts is what is known of the agent next to an instance.
type AgentFacts struct {
	// LastSeenAt is when it was heard from last; zero: never.
	LastSeenAt time.Time
	// ClockOffset is how far its clock was ahead of the control plane's at its
	// last word; negative: behind.
	ClockOffset time.Duration
	// Busy: a run of any of its databases is under way.
	Busy bool
	// Duplicate is the second agent that came with the identity of this one last.
	Duplicate Duplicate
	// Refused is what was not taken of what it said last.
	Refused Refusal
	Status  AgentStatus
	// NextRunBytes is what its next scheduled run will store, by the newest backups of the
	// databases that it covers.
	NextRunBytes int64
}

// Size is that of one backup, in bytes.
type Size struct {
	At time.Time
	// Stored is the file's, as sealed and compressed.
	Stored int64
	// Plain is the dump's; zero if it is not known.
	Plain int64
}

// SizeOf is the size of a backup.
func SizeOf(b Backup) Size {
	return Size{At: b.CreatedAt, Stored: b.SizeBytes, Plain: b.Manifest.PlainSizeBytes}
}
