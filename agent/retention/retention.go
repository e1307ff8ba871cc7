// Package retention says which backups stay and which go, and why. It is pure: it looks at no file
// and no clock, but for the ClockGuard's one file of state.
package retention

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/internal/subject"
	"github.com/pgharbor/pgharbor/internal/words"
)

// Backup is what retention knows of one.
type Backup struct {
	ID string
	// Of is the series that it belongs to: only backups of the same one take its place.
	Of        subject.Series
	CreatedAt time.Time
	// Good says that the backup is whole as far as is known: it has its file, and no check of it has failed.
	Good bool
	// Held says that the backup is to stay until somebody releases it.
	Held bool
	// DependsOn are the ids of the backups without which it can't be restored, of whatever series; nil for one that stands alone.
	DependsOn []string
}

// Policy is what an operator asks for.
type Policy struct {
	// Days is the age, in days of 24 hours, after which a backup goes. Zero or less keeps all.
	Days int
	// KeepLast is how many of the newest good backups of each series stay whatever their age; at least one does.
	KeepLast int
}

// Statuses of a backup.
const (
	StatusKept     = words.RetentionKept     // younger than the policy's days, or protected
	StatusKeptLast = words.RetentionKeptLast // older, but one of the newest good backups of its series
	StatusNeeded   = words.RetentionNeeded   // older, but one that stays depends on it
	StatusExpired  = words.RetentionExpired  // goes at the next purge
)

// Decision is what becomes of one backup.
type Decision struct {
	ID        string
	Keep      bool
	Status    string
	ExpiresAt time.Time // when the policy's days are over, UTC; zero if they never are
	Reason    string    // a sentence's worth, for people
}

const day = 24 * time.Hour

// Plan decides on each backup once, in the order given. Of each series, such as the dumps of one database, it keeps
//   - what is not older than the policy's days, or held;
//   - the newest KeepLast good backups, among which those that claim to be made after now do not count;
//   - everything, while the newest backup is no good one: what came before it may be all there is.
//
// Whatever the series, it keeps what a backup that stays depends on, what depends on a backup that is not among those given
// or on itself, and what only a newer pgharbor understands. A backup is no good one without all that it depends on.
func Plan(backups []Backup, policy Policy, now time.Time) []Decision {
	needs := needsOf(backups)
	series := make(map[subject.Series][]Backup)
	for _, b := range backups {
		b.Good = needs.whole(b)
		series[b.Of] = append(series[b.Of], b)
	}
	floors := make(map[subject.Series]floor, len(series))
	for of, all := range series {
		floors[of] = floorOf(all, policy, now)
	}
	decisions := make([]Decision, 0, len(backups))
	for _, b := range backups {
		d := decide(b, floors[b.Of], policy, now)
		if !d.Keep {
			if why := needs.broken(b); why != "" {
				d.Keep, d.Status, d.Reason = true, StatusKept, "it is past its days, but "+why
			}
		}
		decisions = append(decisions, d)
	}
	needs.keep(decisions)
	return decisions
}

// floor is what stays of a series whatever its age.
type floor struct {
	last     map[string]bool // ids of the newest good backups
	doubtful string          // the newest backup, if it is no good one
}

func floorOf(backups []Backup, policy Policy, now time.Time) floor {
	slices.SortFunc(backups, func(a, b Backup) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	f := floor{last: make(map[string]bool)}
	if !backups[0].Good {
		f.doubtful = backups[0].ID
	}
	for _, b := range backups {
		if b.Good && !b.CreatedAt.After(now) && len(f.last) < max(1, policy.KeepLast) {
			f.last[b.ID] = true
		}
	}
	return f
}

func decide(b Backup, f floor, policy Policy, now time.Time) Decision {
	keep := func(status, reason string, args ...any) Decision {
		return Decision{ID: b.ID, Keep: true, Status: status, ExpiresAt: policy.expires(b), Reason: fmt.Sprintf(reason, args...)}
	}
	days := int(now.Sub(b.CreatedAt) / day)
	switch {
	case b.Held:
		return keep(StatusKept, "it is held")
	case b.Of.Check() != nil:
		return keep(StatusKept, "%v", b.Of.Check())
	case policy.Days <= 0:
		return keep(StatusKept, "the policy has no limit of age")
	case b.CreatedAt.After(now):
		return keep(StatusKept, "its time is in the future")
	case !now.After(policy.expires(b)):
		return keep(StatusKept, "it is %d days old, and %d days are kept", days, policy.Days)
	case f.last[b.ID]:
		return keep(StatusKeptLast, "it is %d days old, but one of the newest %d good backups of its database", days, max(1, policy.KeepLast))
	case f.doubtful != "":
		return keep(StatusKept, "it is %d days old, but the newest backup of its database, %s, is not good", days, f.doubtful)
	}
	return Decision{ID: b.ID, Status: StatusExpired, ExpiresAt: policy.expires(b), Reason: fmt.Sprintf(
		"it is %d days old, %d days are kept, and newer good backups stay", days, policy.Days)}
}

func (p Policy) expires(b Backup) time.Time {
	if p.Days <= 0 {
		return time.Time{}
	}
	return b.CreatedAt.UTC().Add(time.Duration(p.Days) * day)
}
