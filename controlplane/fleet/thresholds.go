package fleet

import (
	"strings"
	"time"
)

// Thresholds say how much is too much. They hold for the databases whose
// "instance/database" a pattern matches; a zero field of a pattern leaves the
// field as it is without the pattern.
type Thresholds struct {
	// StaleAfter is the age that the newest backup must not reach.
	StaleAfter time.Duration `json:"stale_after,omitempty"`
	// SizePercent is how far the newest backup's size may be off the median.
	SizePercent int `json:"size_percent,omitempty"`
	// HangAfter is how long a run may take if nothing is known of earlier ones; else a run hangs
	// that takes five times as long as the longest of the last.
	HangAfter time.Duration `json:"hang_after,omitempty"`
	// MissedAfter is how long after its time a scheduled run must have begun.
	MissedAfter time.Duration `json:"missed_after,omitempty"`
	// ClockOffset is how far an agent's clock may be off the control plane's.
	ClockOffset time.Duration `json:"clock_offset,omitempty"`
	// CertificateLeft is what must be left of an agent's certificate: it is renewed
	// long before.
	CertificateLeft time.Duration `json:"certificate_left,omitempty"`
	// TestRestoreWithin is how old the newest test restore of a database's backups may be; zero: no
	// test restore is asked for.
	TestRestoreWithin time.Duration `json:"proof_within,omitempty"`
	// Encryption: plain files are not enough.
	Encryption bool `json:"encryption,omitempty"`
	// Ignore: nothing of the database is evaluated.
	Ignore bool `json:"ignore,omitempty"`
}

// DefaultThresholds are those of a fleet in which nobody has set any.
var DefaultThresholds = Thresholds{
	StaleAfter: 26 * time.Hour, SizePercent: 30, HangAfter: 12 * time.Hour, MissedAfter: 30 * time.Minute,
	ClockOffset: 5 * time.Minute, CertificateLeft: 5 * 24 * time.Hour,
}

// ThresholdRule is Thresholds for what a pattern matches.
type ThresholdRule struct {
	// Pattern is matched against "instance/database", by MatchGlob.
	Pattern    string
	Thresholds Thresholds
	SetBy      string
	SetAt      time.Time
}

// Concerns reports whether the rule may be about a database of an instance.
func (r ThresholdRule) Concerns(a Agent) bool {
	ofInstance, _, found := strings.Cut(r.Pattern, "/")
	if before, _, star := strings.Cut(r.Pattern, "*"); !found && star {
		ofInstance = before + "*" // which goes on into the database's name
	}
	return MatchGlob(ofInstance, a.Name)
}

// over lays the fields that are set in t over those of base.
func (t Thresholds) over(base Thresholds) Thresholds {
	set := func(to *time.Duration, from time.Duration) {
		if from != 0 {
			*to = from
		}
	}
	set(&base.StaleAfter, t.StaleAfter)
	set(&base.HangAfter, t.HangAfter)
	set(&base.MissedAfter, t.MissedAfter)
	set(&base.ClockOffset, t.ClockOffset)
	set(&base.CertificateLeft, t.CertificateLeft)
	set(&base.TestRestoreWithin, t.TestRestoreWithin)
	if t.SizePercent != 0 {
		base.SizePercent = t.SizePercent
	}
	base.Encryption = base.Encryption || t.Encryption
	base.Ignore = base.Ignore || t.Ignore
	return base
}

// ThresholdsFor returns what holds for a database: the defaults, and over them
// each rule whose pattern matches, in the order given.
func ThresholdsFor(rules []ThresholdRule, instance, database string) Thresholds {
	found := DefaultThresholds
	for _, rule := range rules {
		if MatchGlob(rule.Pattern, instance+"/"+database) {
			found = rule.Thresholds.over(found)
		}
	}
	return found
}
