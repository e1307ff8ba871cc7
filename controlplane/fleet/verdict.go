package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Verdict is what health says of one database.
type Verdict string

// The verdicts, as users know them.
const (
	VerdictOK      Verdict = "OK"
	VerdictStale   Verdict = "STALE"
	VerdictFailed  Verdict = "FAILED"
	VerdictSilent  Verdict = "SILENT"
	VerdictDamaged Verdict = "DAMAGED"
	VerdictUnknown Verdict = "UNKNOWN"
	// VerdictDuplicate: two agents run with one identity.
	VerdictDuplicate Verdict = "DUPLICATE"
)

// severity orders verdicts for those who read from the top.
var severity = []Verdict{VerdictOK, VerdictStale, VerdictSilent, VerdictUnknown, VerdictDuplicate, VerdictFailed, VerdictDamaged}

// Worse orders verdicts: negative where a is worse than b.
func Worse(a, b Verdict) int { return slices.Index(severity, b) - slices.Index(severity, a) }

const (
	// FreshFor is the age that the newest backup of a database must not reach.
	FreshFor = 26 * time.Hour
	// ClockSkew is how far an agent's clock may be ahead. A backup that is
	// dated further ahead would count as fresh for as long as that.
	ClockSkew = time.Hour
	// HeartbeatsMissed is after how many intervals without a word an agent
	// counts as silent.
	HeartbeatsMissed = 3
	// DuplicateFor is how long a second agent with the same identity counts,
	// once it was refused. It tries again within RefusedAgain, if it still runs.
	DuplicateFor = 3 * RefusedAgain
	// RefusedAgain is within which time a refused agent tries again.
	RefusedAgain = 5 * time.Minute
)

// Facts is all that is known of one database when it is judged.
type Facts struct {
	Instance string
	// Database is empty for an instance of which no database is known.
	Database string
	// LastSeenAt is when its agent was heard of last; zero: never.
	LastSeenAt time.Time
	// NewestBackup is the newest one that is present and complete, or nil.
	NewestBackup *Backup
	// NewestRun is the one that ended last, or nil.
	NewestRun *Run
	// Missing is how many backups are gone from the agent's disk without
	// having been removed.
	Missing  int
	Warnings []string
	// Duplicate is the second agent that came with the identity of this one last.
	Duplicate Duplicate
}

// Duplicate is an agent that was refused because another with its identity is
// connected; zero where there was none.
type Duplicate struct {
	Host string // as the refused one says
	At   time.Time
}

// NewsAfter says whether this refusal tells more than the last one did: another
// host, or one that had not been seen for a while.
func (d Duplicate) NewsAfter(last Duplicate) bool {
	return d.Host != last.Host || d.At.Sub(last.At) >= DuplicateFor
}

// Reason is one thing that is wrong with a database, and what to do about it.
type Reason struct {
	Verdict  Verdict
	Text     string
	NextStep string
}

// Judgement is the verdict on one database: the worst of its reasons.
type Judgement struct {
	Facts
	Verdict Verdict
	Reasons []Reason // worst first; empty exactly where the verdict is OK
}

// Judge applies the rules of health to one database.
func Judge(f Facts, now time.Time, heartbeat time.Duration) Judgement {
	j := Judgement{Facts: f, Verdict: VerdictOK, Reasons: reasons(f, now, heartbeat)}
	slices.SortStableFunc(j.Reasons, func(a, b Reason) int { return Worse(a.Verdict, b.Verdict) })
	if len(j.Reasons) > 0 {
		j.Verdict = j.Reasons[0].Verdict
	}
	return j
}

func reasons(f Facts, now time.Time, heartbeat time.Duration) []Reason {
	var found []Reason
	add := func(v Verdict, next, format string, args ...any) {
		found = append(found, Reason{Verdict: v, Text: fmt.Sprintf(format, args...), NextStep: next})
	}
	if f.LastSeenAt.IsZero() {
		add(VerdictUnknown, "run pgharbor-agent enroll and pgharbor-agent run beside the instance", "the agent has never connected")
		return found
	}
	if quiet := now.Sub(f.LastSeenAt); quiet >= HeartbeatsMissed*heartbeat {
		add(VerdictSilent, "look at pgharbor-agent on its host: systemctl status pgharbor-agent",
			"the agent has not been heard of for %s", quiet.Round(time.Second))
	}
	if d := f.Duplicate; !d.At.IsZero() && now.Sub(d.At) < DuplicateFor {
		add(VerdictDuplicate, fmt.Sprintf("stop the agent that does not belong to %s; if its host is to stay, enrol it under a name of its own: pgharbor agents invite NAME", f.Instance),
			"a second agent with the same identity, on %s, was refused at %s", cmp.Or(d.Host, "an unknown host"), d.At.Format(time.RFC3339))
	}
	if f.Database == "" {
		add(VerdictUnknown, "run pgharbor-agent check beside the instance", "no database of the instance is known")
		return found
	}
	if f.Missing > 0 {
		add(VerdictDamaged, "look into the agent's BACKUP_DIR, and make a backup now", "%d backups are gone from the agent's disk", f.Missing)
	}
	if f.NewestRun != nil && f.NewestRun.State == RunFailed {
		add(VerdictFailed, fmt.Sprintf("pgharbor runs --instance %s --failed; pgharbor-agent check beside the instance", f.Instance),
			"the newest run failed: %s", f.NewestRun.Error)
	}
	switch {
	case f.NewestBackup == nil:
		add(VerdictStale, fmt.Sprintf("pgharbor backup %s", f.Instance), "there is no backup")
	case f.NewestBackup.CreatedAt.After(now.Add(ClockSkew)):
		add(VerdictStale, "set the clocks of the agent's host and of the control plane's, then pgharbor backup "+f.Instance,
			"the newest backup is dated %s, which is yet to come", f.NewestBackup.CreatedAt.Format(time.RFC3339))
	case now.Sub(f.NewestBackup.CreatedAt) >= FreshFor:
		add(VerdictStale, fmt.Sprintf("pgharbor backup %s", f.Instance), "the newest backup is %s old",
			now.Sub(f.NewestBackup.CreatedAt).Round(time.Minute))
	}
	return found
}
