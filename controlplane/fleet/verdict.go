package fleet

import (
	"slices"
	"time"
)

// Verdict is what health says of one database.
type Verdict string

// The verdicts, as users know them.
const (
	VerdictOK          Verdict = "OK"
	VerdictStale       Verdict = "STALE"
	VerdictFailed      Verdict = "FAILED"
	VerdictSizeAnomaly Verdict = "SIZE_ANOMALY"
	VerdictSilent      Verdict = "SILENT"
	VerdictUnprotected Verdict = "UNPROTECTED"
	VerdictDamaged     Verdict = "DAMAGED"
	VerdictUnknown     Verdict = "UNKNOWN"
	// Those that practice added.
	VerdictDuplicate   Verdict = "DUPLICATE"   // two agents run with one identity
	VerdictHung        Verdict = "HUNG"        // a run takes far longer than ever
	VerdictMissed      Verdict = "MISSED"      // a scheduled run did not begin
	VerdictClock       Verdict = "CLOCK"       // the agent's clock is off
	VerdictCertificate Verdict = "CERTIFICATE" // it ends soon, and was not renewed
	VerdictSpace       Verdict = "SPACE"       // the next scheduled run will not fit
	VerdictUnencrypted Verdict = "UNENCRYPTED" // files are plain if they should not be
	VerdictOutdated    Verdict = "OUTDATED"    // pg_dump is older than its server
	VerdictBlocked     Verdict = "BLOCKED"     // retention removes nothing
	VerdictUnproven    Verdict = "UNPROVEN"    // no test restore, or one that is too old
	VerdictKey         Verdict = "KEY"         // the agent can't open what it wrote
	VerdictRefused     Verdict = "REFUSED"     // part of what the agent says is not taken
	VerdictPending     Verdict = "PENDING"     // new, and covered by the schedule: its first run is to come
	VerdictIgnored     Verdict = "IGNORED"     // a threshold says that nothing is evaluated
)

// severity orders verdicts for those who read from the top: the least urgent
// first.
var severity = []Verdict{
	VerdictIgnored, VerdictOK, VerdictPending, VerdictBlocked, VerdictUnproven, VerdictClock, VerdictCertificate, VerdictUnencrypted,
	VerdictSizeAnomaly, VerdictStale, VerdictMissed, VerdictSpace, VerdictHung, VerdictOutdated, VerdictRefused,
	VerdictSilent, VerdictUnprotected, VerdictUnknown, VerdictDuplicate, VerdictKey, VerdictFailed, VerdictDamaged,
}

// Verdicts returns every verdict, the most urgent first.
func Verdicts() []Verdict {
	all := slices.Clone(severity)
	slices.Reverse(all)
	return all
}

// Fine reports whether nobody has anything to do: all is well, will be by the schedule, or nothing is evaluated.
func (v Verdict) Fine() bool { return v == VerdictOK || v == VerdictPending || v == VerdictIgnored }

// Worse orders verdicts: negative if a is worse than b.
func Worse(a, b Verdict) int { return slices.Index(severity, b) - slices.Index(severity, a) }

const (
	// ClockSkew is how far an agent's clock may be ahead. A backup that is
	// dated further ahead would count as fresh for as long as that.
	ClockSkew = time.Hour
	// HeartbeatsMissed is after how many intervals without a word an agent
	// counts as silent.
	HeartbeatsMissed = 3
	// DuplicateFor is how long a second agent with the same identity counts,
	// once it was refused. It tries again within RefusedAgain, if it still runs.
	DuplicateFor = 3 * RefusedAgain
	// ReconnectWithin is how soon an agent is back that had lost its control plane: the longest of
	// its pauses, and what many agents at once take to be admitted.
	ReconnectWithin = 2 * time.Minute
	// RefusedAgain is within which time a refused agent tries again.
	RefusedAgain = 5 * time.Minute
)

// Duplicate is an agent that was refused because another with its identity is connected; zero if
// there was none.
type Duplicate struct {
	Host string // as the refused one says
	At   time.Time
}

// NewsAfter reports whether this refusal tells more than the last one did: another
// host, or one that had not been seen for a while.
func (d Duplicate) NewsAfter(last Duplicate) bool {
	return d.Host != last.Host || d.At.Sub(last.At) >= DuplicateFor
}

// Reason is one thing that is wrong with a database, and what to do about it.
type Reason struct {
	Verdict Verdict
	Text    string
	// Public is Text without what an agent said in its own words, for who asks without a
	// certificate.
	Public   string
	NextStep string
}

// DatabaseStatus is the verdict on one database: the worst of its reasons.
type DatabaseStatus struct {
	Facts
	Verdict Verdict
	Reasons []Reason // worst first; empty exactly if the verdict is fine
}

// Evaluate applies the rules of health to one database.
func Evaluate(f Facts, t Thresholds, now time.Time, heartbeat time.Duration) DatabaseStatus {
	j := DatabaseStatus{Facts: f, Verdict: VerdictOK}
	if t.Ignore { // not OK: nobody has looked
		j.Verdict = VerdictIgnored
		return j
	}
	if refused := refusal(f); refused != "" { // first: what is too long is cut at its end
		j.Warnings = append([]string{refused}, f.Warnings...)
	}
	e := evaluation{Facts: f, Thresholds: t, now: now, heartbeat: heartbeat}
	j.Reasons = reasons(e)
	slices.SortStableFunc(j.Reasons, func(a, b Reason) int { return Worse(a.Verdict, b.Verdict) })
	if len(j.Reasons) > 0 {
		j.Verdict = j.Reasons[0].Verdict
	} else if awaitsFirstRun(e) {
		j.Verdict = VerdictPending
	}
	return j
}
