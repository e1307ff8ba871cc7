package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/internal/shell"
)

// evaluation is one database and what its rules read.
type evaluation struct {
	Facts
	Thresholds
	now       time.Time
	heartbeat time.Duration
}

// rule finds what one rule says is wrong, or nothing.
type rule func(evaluation) *Reason

// Of an agent: they hold for each of its databases.
var agentRules = []rule{silent, duplicate, clockOff, certificateEnds, outdated, spaceShort, keyLost, retentionBlocked, refused}

// Of a database that is known.
var databaseRules = []rule{unprotected, damaged, spoiled, failedTestRestore, failed, hung, missed, stale, sizeOff, unencrypted, noTestRestore}

func reasons(j evaluation) (found []Reason) {
	if j.Agent.LastSeenAt.IsZero() {
		return []Reason{*reason(VerdictUnknown, "run pgharbor-agent enroll and pgharbor-agent run on the instance's host", "the agent has never connected")}
	}
	rules := append([]rule{}, agentRules...)
	if j.Database == "" {
		rules = append(rules, nothingKnown)
	} else {
		rules = append(rules, databaseRules...)
	}
	for _, find := range rules {
		if r := find(j); r != nil {
			found = append(found, *r)
		}
	}
	return found
}

func reason(v Verdict, next, format string, args ...any) *Reason {
	text := fmt.Sprintf(format, args...)
	return &Reason{Verdict: v, NextStep: next, Text: text, Public: text}
}

// quoting adds to a reason what an agent said in its own words.
func (r *Reason) quoting(said string) *Reason {
	r.Text += ": " + said
	return r
}

const lookAtInstance = "run pgharbor-agent check on the instance's host"

func nothingKnown(evaluation) *Reason {
	return reason(VerdictUnknown, lookAtInstance, "no database of the instance is known")
}

func silent(j evaluation) *Reason {
	quiet := j.now.Sub(j.Agent.LastSeenAt)
	if quiet < HeartbeatsMissed*j.heartbeat {
		return nil
	}
	return reason(VerdictSilent, "look at pgharbor-agent on its host: systemctl status pgharbor-agent",
		"the agent has not been heard of for %s", quiet.Round(time.Second))
}

func duplicate(j evaluation) *Reason {
	d := j.Agent.Duplicate
	if d.At.IsZero() || j.now.Sub(d.At) >= DuplicateFor {
		return nil
	}
	return reason(VerdictDuplicate, shell.Command("stop the agent that does not belong to %s; if its host is to stay, enrol it under a name of its own: pgharbor agents invite NAME", j.Instance),
		"a second agent with the same identity was refused at %s", d.At.Format(time.RFC3339)).quoting("it runs on " + cmp.Or(d.Host, "an unknown host"))
}

func clockOff(j evaluation) *Reason {
	off := j.Agent.ClockOffset.Round(time.Second)
	if off.Abs() <= j.ClockOffset {
		return nil
	}
	return reason(VerdictClock, "let the agent's host and the control plane's keep time by NTP",
		"the clock of the agent's host is %s off the control plane's", off)
}

func certificateEnds(j evaluation) *Reason {
	ends := j.Agent.Status.CertificateEndsAt
	if ends.IsZero() || ends.Sub(j.now) >= min(j.CertificateLeft, j.Agent.Status.CertificateLife/6) {
		return nil
	}
	return reason(VerdictCertificate, shell.Command("see the agent's log for why it is not renewed; pgharbor agents invite %s makes a new one", j.Instance),
		"the agent's certificate ends at %s and was not renewed", ends.Format(time.RFC3339))
}

func outdated(j evaluation) *Reason {
	server, dump := major(j.Agent.Status.ServerVersion), major(j.Agent.Status.DumpVersion)
	if server == 0 || dump == 0 || dump >= server {
		return nil
	}
	return reason(VerdictOutdated, fmt.Sprintf("install PostgreSQL's client of version %d on the instance's host", server),
		"pg_dump of version %d refuses its server, which is of version %d", dump, server).
		quoting(j.Agent.Status.DumpVersion + " and " + j.Agent.Status.ServerVersion)
}

// major is the first number of a version; 0 if it is none.
func major(version string) int {
	digits := strings.TrimLeft(version, " ")
	if end := strings.IndexFunc(digits, func(c rune) bool { return c < '0' || c > '9' }); end >= 0 {
		digits = digits[:end]
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

func spaceShort(j evaluation) *Reason {
	free := j.Agent.Status.FreeBytes
	if j.Agent.Status.FolderWarning != "" {
		return reason(VerdictSpace, lookAtInstance, "the backup folder can't be used").quoting(j.Agent.Status.FolderWarning)
	}
	if free == nil || j.Agent.NextRunBytes == 0 || *free >= j.Agent.NextRunBytes {
		return nil
	}
	return reason(VerdictSpace, "make room in the agent's BACKUP_DIR, or lower BACKUP_RETENTION_DAYS",
		"the backup folder has %d bytes free, and the next scheduled run takes about %d", *free, j.Agent.NextRunBytes)
}

func keyLost(j evaluation) *Reason {
	if j.Agent.Status.KeyWarning == "" {
		return nil
	}
	return reason(VerdictKey, "add the passphrase of before to BACKUP_OLD_PASSPHRASES_FILE on the instance's host, restart pgharbor-agent, then pgharbor-agent check",
		"backups are encrypted and can't be opened with the keys that the host has now").quoting(j.Agent.Status.KeyWarning)
}

func retentionBlocked(j evaluation) *Reason {
	if j.Agent.Status.RetentionBlocked == "" {
		return nil
	}
	return reason(VerdictBlocked, shell.Command("pgharbor retention --instance %s; ", j.Instance)+lookAtInstance, "retention removes nothing").quoting(j.Agent.Status.RetentionBlocked)
}

// refused is about what this status lacks, and about what was refused recently.
func refused(j evaluation) *Reason {
	const next = "see the log of the control plane; what one agent may have here is set with --agent-databases and its like (docs/health.md)"
	texts := j.Agent.Status.Refused
	if r := j.Agent.Refused; !r.At.IsZero() && j.now.Sub(r.At) < RefusedFor {
		texts = append(slices.Clone(texts), fmt.Sprintf("%d times until %s, the last: %s", r.Count, r.At.Format(time.RFC3339), r.Text))
	}
	if len(texts) == 0 {
		return nil
	}
	return reason(VerdictRefused, next, "the control plane does not take all that the agent says").quoting(strings.Join(texts, "; "))
}

// Guests are databases that a restore made: somebody is at work in them, and
// whether they stay is not yet known.
const guestFor = 7 * 24 * time.Hour

// MaintenanceDatabase is the one that every instance has, to connect to. Nobody is alarmed if no
// schedule covers it.
const MaintenanceDatabase = "postgres"

// unprotected: if the schedule is off as a whole, somebody backs up by hand or by a cron of their
// own, and freshness says whether they do.
func unprotected(j evaluation) *Reason {
	switch {
	case !j.Exists, j.Covered, j.Database == MaintenanceDatabase:
		return nil
	case !j.Agent.Status.BackupsEnabled && j.NewestBackup != nil:
		return nil
	case !j.RestoredAt.IsZero() && j.now.Sub(j.RestoredAt) < guestFor:
		return nil
	case !j.Agent.Status.BackupsEnabled:
		return reason(VerdictUnprotected, "set ENABLE_BACKUPS=true for the agent", "%s, and the agent's schedule is off", noBackup(j))
	default:
		return reason(VerdictUnprotected, "add it to the agent's BACKUP_DATABASES"+passOver(j), "the database exists and no schedule covers it")
	}
}

// passOver is how health passes over a database. A name with a wildcard in it, as
// its owner may have chosen it, would be a pattern that passes over others too.
func passOver(j evaluation) string {
	if strings.ContainsAny(j.Database, "*?") {
		return ""
	}
	return shell.Command(", or tell health to pass over it: pgharbor thresholds set %s --ignore", j.Instance+"/"+j.Database)
}

func damaged(j evaluation) *Reason {
	if j.Missing == 0 {
		return nil
	}
	return reason(VerdictDamaged, backUpAgain(j)+"; and look into the agent's BACKUP_DIR", "%d backups are gone from the agent's disk", j.Missing)
}

func failed(j evaluation) *Reason {
	if j.NewestRun == nil || j.NewestRun.State != RunFailed {
		return nil
	}
	return reason(VerdictFailed, shell.Command("pgharbor runs --instance %s --failed; pgharbor-agent check and pgharbor-agent runs --failed on the instance's host", j.Instance),
		"the newest run failed").quoting(j.NewestRun.Error)
}

// hangFactor is how many times the longest of the last runs another may take.
const hangFactor = 5

// shortestHang keeps a database of seconds from hanging in minutes.
const shortestHang = time.Hour

func hung(j evaluation) *Reason {
	if j.Running == nil {
		return nil
	}
	limit := j.HangAfter
	if j.LongestRun > 0 {
		limit = min(limit, max(hangFactor*j.LongestRun, shortestHang))
	}
	took := j.now.Sub(j.Running.StartedAt)
	if took < limit {
		return nil
	}
	return reason(VerdictHung, shell.Command("look for a lock or a dead disk: pg_stat_activity on %s, then restart the agent", j.Instance),
		"a run has been under way for %s; the longest of the last took %s", took.Round(time.Minute), j.LongestRun.Round(time.Second))
}

func missed(j evaluation) *Reason {
	due := j.Agent.Status.NextRunAt
	if !j.Covered || !j.Agent.Status.BackupsEnabled || due.IsZero() || j.Agent.Busy || j.now.Sub(due) < j.MissedAfter {
		return nil
	}
	if j.NewestRun != nil && !j.NewestRun.StartedAt.Before(due) {
		return nil // and the agent has yet to say when the next one is due
	}
	return reason(VerdictMissed, shell.Command("look at pgharbor-agent on its host, then pgharbor backup %s", j.Instance),
		"the scheduled run of %s did not begin", due.Format(time.RFC3339))
}

func stale(j evaluation) *Reason {
	if j.Exists && !j.Covered && j.NewestBackup == nil {
		return nil // it is unprotected, a guest, or nothing to back up
	}
	if awaitsFirstRun(j) {
		return nil
	}
	again := shell.Command("pgharbor backup %s", j.Instance)
	switch {
	case j.NewestBackup == nil:
		return reason(VerdictStale, again, "%s", noBackup(j))
	case j.NewestBackup.CreatedAt.After(j.now.Add(ClockSkew)):
		return reason(VerdictStale, "set the clocks of the agent's host and of the control plane's, then "+again,
			"the newest backup is dated %s, which is yet to come", j.NewestBackup.CreatedAt.Format(time.RFC3339))
	case j.now.Sub(j.NewestBackup.CreatedAt) >= j.StaleAfter:
		return reason(VerdictStale, again, "the newest backup is %s old", j.now.Sub(j.NewestBackup.CreatedAt).Round(time.Minute))
	}
	return nil
}

// awaitsFirstRun reports whether a database is so new that nobody could expect a backup yet, and the schedule will make one. It
// is new for no longer than a backup is fresh.
func awaitsFirstRun(j evaluation) bool {
	return j.Exists && j.Covered && j.Agent.Status.BackupsEnabled && j.NewestBackup == nil && j.NewestRun == nil && j.Damaged == 0 &&
		!j.SeenSince.IsZero() && j.now.Sub(j.SeenSince) < j.StaleAfter
}

// noBackup says of a database without a backup that counts whether there is any at all.
func noBackup(j evaluation) string {
	if j.Damaged > 0 || j.TestRestored != nil {
		return "there is no good backup"
	}
	return "there is no backup"
}

func sizeOff(j evaluation) *Reason {
	if j.NewestBackup == nil {
		return nil
	}
	text := sizeAnomaly(SizeOf(*j.NewestBackup), j.Sizes, j.SizePercent)
	if text == "" {
		return nil
	}
	return reason(VerdictSizeAnomaly, shell.Command("see whether the data are all there; pgharbor show %s lists the rows of each table", j.NewestBackup.ID), "%s", text)
}

func unencrypted(j evaluation) *Reason {
	if !j.Encryption || j.NewestBackup == nil || j.NewestBackup.Manifest.Encrypted {
		return nil
	}
	return reason(VerdictUnencrypted, "set BACKUP_ENCRYPT_PASSPHRASE_FILE for the agent", "the newest backup is a plain file, and encryption is expected")
}
