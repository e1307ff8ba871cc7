package fleet_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const heartbeat = 10 * time.Second

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// good is all that is known of a database that is well.
func good() fleet.Facts {
	free := int64(1 << 30)
	return fleet.Facts{
		Instance: "db1", Database: "shop", Exists: true, Covered: true,
		Agent: fleet.AgentFacts{LastSeenAt: now, NextRunBytes: 1 << 20, Status: fleet.AgentStatus{
			BackupsEnabled: true, NextRunAt: now.Add(time.Hour), ServerVersion: "15.18", DumpVersion: "15.18 (Debian)",
			CertificateEndsAt: now.AddDate(0, 0, 20), CertificateLife: 30 * 24 * time.Hour, FreeBytes: &free,
		}},
		NewestBackup: &fleet.Backup{CreatedAt: now, SizeBytes: 1000}, NewestRun: &fleet.Run{State: fleet.RunSucceeded, StartedAt: now},
	}
}

// evaluated are facts, and the reasons that are found in them.
var evaluated = []struct {
	name   string
	change func(*fleet.Facts)
	want   []fleet.Verdict // of the reasons, worst first
}{
	{"good", func(*fleet.Facts) {}, nil},
	{"nearly 26 h old", func(f *fleet.Facts) { f.NewestBackup.CreatedAt = now.Add(-26*time.Hour + time.Microsecond) }, nil},
	{"26 h old", func(f *fleet.Facts) { f.NewestBackup.CreatedAt = now.Add(-26 * time.Hour) }, []fleet.Verdict{fleet.VerdictStale}},
	{"no backup", func(f *fleet.Facts) { f.NewestBackup = nil }, []fleet.Verdict{fleet.VerdictStale}},
	{"new, and its agent is silent", func(f *fleet.Facts) {
		f.NewestBackup, f.NewestRun, f.SeenSince, f.Agent.LastSeenAt = nil, nil, now, now.Add(-time.Hour)
	}, []fleet.Verdict{fleet.VerdictSilent}},
	{"new, and its first run failed", func(f *fleet.Facts) {
		f.NewestBackup, f.SeenSince, f.NewestRun.State = nil, now, fleet.RunFailed
	}, []fleet.Verdict{fleet.VerdictFailed, fleet.VerdictStale}},
	{"new for a day and no run", func(f *fleet.Facts) { f.NewestBackup, f.NewestRun, f.SeenSince = nil, nil, now.Add(-26*time.Hour) },
		[]fleet.Verdict{fleet.VerdictStale}},
	{"new, and the schedule is off", func(f *fleet.Facts) {
		f.NewestBackup, f.NewestRun, f.SeenSince, f.Agent.Status.BackupsEnabled = nil, nil, now, false
	}, []fleet.Verdict{fleet.VerdictStale}},
	{"vanished, and no backup", func(f *fleet.Facts) { f.NewestBackup, f.Exists, f.Covered = nil, false, false }, []fleet.Verdict{fleet.VerdictStale}},
	{"an hour ahead", func(f *fleet.Facts) { f.NewestBackup.CreatedAt = now.Add(time.Hour) }, nil},
	{"years ahead", func(f *fleet.Facts) { f.NewestBackup.CreatedAt = now.AddDate(10, 0, 0) }, []fleet.Verdict{fleet.VerdictStale}},
	{"nearly 3 heartbeats", func(f *fleet.Facts) { f.Agent.LastSeenAt = now.Add(-3*heartbeat + time.Microsecond) }, nil},
	{"3 heartbeats", func(f *fleet.Facts) { f.Agent.LastSeenAt = now.Add(-3 * heartbeat) }, []fleet.Verdict{fleet.VerdictSilent}},
	{"never connected", func(f *fleet.Facts) { f.Agent.LastSeenAt = time.Time{} }, []fleet.Verdict{fleet.VerdictUnknown}},
	{"no database known", func(f *fleet.Facts) { f.Database = "" }, []fleet.Verdict{fleet.VerdictUnknown}},
	{"no database known, silent", func(f *fleet.Facts) { f.Database, f.Agent.LastSeenAt = "", now.Add(-time.Hour) },
		[]fleet.Verdict{fleet.VerdictUnknown, fleet.VerdictSilent}},
	{"the newest run failed", func(f *fleet.Facts) { f.NewestRun.State = fleet.RunFailed }, []fleet.Verdict{fleet.VerdictFailed}},
	{"no run yet, an imported backup", func(f *fleet.Facts) { f.NewestRun = nil }, nil},
	{"a file is missing", func(f *fleet.Facts) { f.Missing = 1 }, []fleet.Verdict{fleet.VerdictDamaged}},
	{"a second agent, refused just now", func(f *fleet.Facts) { f.Agent.Duplicate = fleet.Duplicate{Host: "db2", At: now} },
		[]fleet.Verdict{fleet.VerdictDuplicate}},
	{"a second agent, not seen again", func(f *fleet.Facts) { f.Agent.Duplicate.At = now.Add(-fleet.DuplicateFor) }, nil},

	{"no schedule covers it", func(f *fleet.Facts) { f.Covered, f.NewestBackup, f.NewestRun = false, nil, nil }, []fleet.Verdict{fleet.VerdictUnprotected}},
	{"backed up by hand, without the schedule", func(f *fleet.Facts) { f.Covered = false }, []fleet.Verdict{fleet.VerdictUnprotected}},
	{"backed up by hand, without a schedule", func(f *fleet.Facts) { f.Covered, f.Agent.Status.BackupsEnabled = false, false }, nil},
	{"no schedule and no backup", func(f *fleet.Facts) { f.Covered, f.Agent.Status.BackupsEnabled, f.NewestBackup = false, false, nil },
		[]fleet.Verdict{fleet.VerdictUnprotected}},
	{"the maintenance database", func(f *fleet.Facts) { f.Database, f.Covered, f.NewestBackup = "postgres", false, nil }, nil},
	{"restored a day ago", func(f *fleet.Facts) { f.Covered, f.NewestBackup, f.RestoredAt = false, nil, now.AddDate(0, 0, -1) }, nil},
	{"restored a week ago", func(f *fleet.Facts) { f.Covered, f.NewestBackup, f.RestoredAt = false, nil, now.AddDate(0, 0, -7) },
		[]fleet.Verdict{fleet.VerdictUnprotected}},

	{"a run of 12 h", func(f *fleet.Facts) { f.Running = &fleet.Run{StartedAt: now.Add(-12 * time.Hour)} }, []fleet.Verdict{fleet.VerdictHung}},
	{"a run of nearly 12 h", func(f *fleet.Facts) { f.Running = &fleet.Run{StartedAt: now.Add(-12*time.Hour + time.Microsecond)} }, nil},
	{"five times the longest", func(f *fleet.Facts) {
		f.Running, f.LongestRun = &fleet.Run{StartedAt: now.Add(-100 * time.Minute)}, 20*time.Minute
	}, []fleet.Verdict{fleet.VerdictHung}},
	{"four times the longest", func(f *fleet.Facts) {
		f.Running, f.LongestRun = &fleet.Run{StartedAt: now.Add(-80 * time.Minute)}, 20*time.Minute
	}, nil},
	{"many times a short one", func(f *fleet.Facts) {
		f.Running, f.LongestRun = &fleet.Run{StartedAt: now.Add(-time.Hour + time.Microsecond)}, time.Second
	}, nil},

	{"the scheduled run is half an hour late", func(f *fleet.Facts) {
		f.Agent.Status.NextRunAt, f.NewestRun.StartedAt = now.Add(-30*time.Minute), now.Add(-25*time.Hour)
	}, []fleet.Verdict{fleet.VerdictMissed}},
	{"the scheduled run is nearly half an hour late", func(f *fleet.Facts) {
		f.Agent.Status.NextRunAt, f.NewestRun.StartedAt = now.Add(-30*time.Minute+time.Microsecond), now.Add(-25*time.Hour)
	}, nil},
	{"the scheduled run took place, and the agent has not said when the next is", func(f *fleet.Facts) {
		f.Agent.Status.NextRunAt, f.NewestRun.StartedAt = now.Add(-time.Hour), now.Add(-time.Hour)
	}, nil},
	{"another database's turn takes long", func(f *fleet.Facts) {
		f.Agent.Status.NextRunAt, f.NewestRun.StartedAt, f.Agent.Busy = now.Add(-time.Hour), now.Add(-25*time.Hour), true
	}, nil},

	{"a clock 5 min ahead", func(f *fleet.Facts) { f.Agent.ClockOffset = 5 * time.Minute }, nil},
	{"a clock more than 5 min ahead", func(f *fleet.Facts) { f.Agent.ClockOffset = 5*time.Minute + time.Second }, []fleet.Verdict{fleet.VerdictClock}},
	{"a clock a day behind", func(f *fleet.Facts) { f.Agent.ClockOffset = -24 * time.Hour }, []fleet.Verdict{fleet.VerdictClock}},
	{"a certificate of 5 days", func(f *fleet.Facts) { f.Agent.Status.CertificateEndsAt = now.AddDate(0, 0, 5) }, nil},
	{"a certificate of less than 5 days", func(f *fleet.Facts) { f.Agent.Status.CertificateEndsAt = now.AddDate(0, 0, 5).Add(-1) },
		[]fleet.Verdict{fleet.VerdictCertificate}},
	{"a certificate that was made for an hour", func(f *fleet.Facts) {
		f.Agent.Status.CertificateEndsAt, f.Agent.Status.CertificateLife = now.Add(20*time.Minute), time.Hour
	}, nil},
	{"pg_dump is a major behind", func(f *fleet.Facts) { f.Agent.Status.ServerVersion = "16.2" }, []fleet.Verdict{fleet.VerdictOutdated}},
	{"pg_dump is a major ahead", func(f *fleet.Facts) { f.Agent.Status.DumpVersion = "17beta1" }, nil},
	{"the next scheduled run just fits", func(f *fleet.Facts) { f.Agent.NextRunBytes = 1 << 30 }, nil},
	{"the next scheduled run does not fit", func(f *fleet.Facts) { f.Agent.NextRunBytes = 1<<30 + 1 }, []fleet.Verdict{fleet.VerdictSpace}},
	{"an old agent says nothing of space", func(f *fleet.Facts) { f.Agent.Status.FreeBytes, f.Agent.NextRunBytes = nil, 1<<40 }, nil},
	{"the backup folder is gone", func(f *fleet.Facts) { f.Agent.Status.FreeBytes, f.Agent.Status.FolderWarning = nil, "moved" },
		[]fleet.Verdict{fleet.VerdictSpace}},
	{"backups that no key opens", func(f *fleet.Facts) { f.Agent.Status.KeyWarning = "which" }, []fleet.Verdict{fleet.VerdictKey}},
	{"retention is blocked", func(f *fleet.Facts) { f.Agent.Status.RetentionBlocked = "why" }, []fleet.Verdict{fleet.VerdictBlocked}},
	{"the scheduled test restore did not take place", func(f *fleet.Facts) { f.Agent.Status.NextVerifyAt = now.Add(-24 * time.Hour) }, []fleet.Verdict{fleet.VerdictUnproven}},
	{"the scheduled test restore is due", func(f *fleet.Facts) { f.Agent.Status.NextVerifyAt = now.Add(-23 * time.Hour) }, nil},
	{"the scheduled test restore took place", func(f *fleet.Facts) {
		f.Agent.Status.NextVerifyAt = now.Add(-24 * time.Hour)
		f.TestRestored = &fleet.Backup{Findings: fleet.Findings{TestRestore: fleet.TestRestore{State: fleet.TestRestoreSucceeded, FinishedAt: now.Add(-time.Hour)}}}
	}, nil},
	{"all at once", func(f *fleet.Facts) {
		*f = fleet.Facts{Instance: "db1", Database: "shop", Agent: fleet.AgentFacts{LastSeenAt: now.Add(-time.Hour)},
			NewestRun: &fleet.Run{State: fleet.RunFailed}, Missing: 2}
	}, []fleet.Verdict{fleet.VerdictDamaged, fleet.VerdictFailed, fleet.VerdictSilent, fleet.VerdictStale}},
}

func TestEvaluate(t *testing.T) {
	for _, tt := range evaluated {
		t.Run(tt.name, func(t *testing.T) {
			facts := good()
			tt.change(&facts)
			status := fleet.Evaluate(facts, fleet.DefaultThresholds, now, heartbeat)
			var reasons []fleet.Verdict
			for _, r := range status.Reasons {
				reasons = append(reasons, r.Verdict)
				if r.Text == "" || r.NextStep == "" {
					t.Errorf("a reason lacks its text or its next step: %+v", r)
				}
			}
			if diff := cmp.Diff(tt.want, reasons); diff != "" {
				t.Error(diff)
			}
			if want := append(tt.want, fleet.VerdictOK)[0]; status.Verdict != want {
				t.Errorf("the verdict is %s, want %s", status.Verdict, want)
			}
		})
	}
}

func TestWhatIsNewAndCoveredIsPending(t *testing.T) {
	facts := good()
	facts.NewestBackup, facts.NewestRun, facts.SeenSince = nil, nil, now.Add(-25*time.Hour)
	status := fleet.Evaluate(facts, fleet.DefaultThresholds, now, heartbeat)
	if status.Verdict != fleet.VerdictPending || !status.Verdict.Fine() || len(status.Reasons) != 0 {
		t.Errorf("got %s, %+v", status.Verdict, status.Reasons)
	}
}

func TestThresholdsOfTheNarrowerPatternAreLaidOverThoseOfTheWider(t *testing.T) {
	rules := []fleet.ThresholdRule{
		{Pattern: "*", Thresholds: fleet.Thresholds{StaleAfter: 50 * time.Hour, Encryption: true}},
		{Pattern: "db1/*", Thresholds: fleet.Thresholds{StaleAfter: 10 * time.Hour}},
		{Pattern: "db1/scratch", Thresholds: fleet.Thresholds{Ignore: true}},
	}
	facts := good()
	facts.NewestBackup.CreatedAt = now.Add(-11 * time.Hour)
	evaluate := func(database string) []fleet.Verdict {
		var found []fleet.Verdict
		for _, r := range fleet.Evaluate(facts, fleet.ThresholdsFor(rules, facts.Instance, database), now, heartbeat).Reasons {
			found = append(found, r.Verdict)
		}
		return found
	}
	if diff := cmp.Diff([]fleet.Verdict{fleet.VerdictStale, fleet.VerdictUnencrypted}, evaluate("shop")); diff != "" {
		t.Error(diff)
	}
	if found := evaluate("scratch"); found != nil {
		t.Errorf("what is to be passed over has %v", found)
	}
	without := good()
	without.NewestBackup = nil
	ignored := fleet.Evaluate(without, fleet.ThresholdsFor(rules, without.Instance, "scratch"), now, heartbeat)
	if ignored.Verdict != fleet.VerdictIgnored || !ignored.Verdict.Fine() {
		t.Errorf("a database without a backup that is to be passed over is %s", ignored.Verdict)
	}
	facts.Instance = "db2"
	if diff := cmp.Diff([]fleet.Verdict{fleet.VerdictUnencrypted}, evaluate("shop")); diff != "" {
		t.Error(diff)
	}
}

func TestATestRestoreIsAskedForIfAThresholdSaysSo(t *testing.T) {
	wanted := fleet.DefaultThresholds
	wanted.TestRestoreWithin = 7 * 24 * time.Hour
	for _, tt := range []struct {
		name string
		at   time.Time
		want fleet.Verdict
	}{
		{"never", time.Time{}, fleet.VerdictUnproven},
		{"a week ago", now.AddDate(0, 0, -7), fleet.VerdictUnproven},
		{"less than a week ago", now.AddDate(0, 0, -7).Add(time.Second), fleet.VerdictOK},
	} {
		facts := good()
		if !tt.at.IsZero() {
			facts.TestRestored = &fleet.Backup{Findings: fleet.Findings{TestRestore: fleet.TestRestore{State: fleet.TestRestoreSucceeded, FinishedAt: tt.at}}}
		}
		if got := fleet.Evaluate(facts, wanted, now, heartbeat).Verdict; got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Another backup of a database that does not load is none that does.
func TestWhatNoServerTakesIsNotBackedUpInCircles(t *testing.T) {
	for difference, says := range map[string]string{
		"syntax_error (SQLSTATE 42601)":    "then pgharbor verify",
		"check_violation (SQLSTATE 23514)": "rows in the source",
	} {
		facts := good()
		facts.TestRestored = &fleet.Backup{ID: "id", Findings: fleet.Findings{TestRestore: fleet.TestRestore{State: fleet.TestRestoreFailed, Differences: []string{difference}}}}
		next := fleet.Evaluate(facts, fleet.DefaultThresholds, now, heartbeat).Reasons[0].NextStep
		if !strings.Contains(next, says) || strings.Contains(next, "pgharbor backup") != (difference[0] == 's') {
			t.Errorf("%s: %s", difference, next)
		}
	}
}

func TestVerdictsAreOrdered(t *testing.T) {
	all := fleet.Verdicts()
	if all[0] != fleet.VerdictDamaged || all[len(all)-3] != fleet.VerdictPending || all[len(all)-2] != fleet.VerdictOK || all[len(all)-1] != fleet.VerdictIgnored {
		t.Errorf("from %s to %s", all[0], all[len(all)-1])
	}
	shuffled := slices.Clone(all)
	slices.Sort(shuffled)
	slices.SortFunc(shuffled, fleet.Worse)
	if diff := cmp.Diff(all, shuffled); diff != "" {
		t.Error(diff)
	}
}

func TestIDs(t *testing.T) {
	if a, b := fleet.NewID(), fleet.NewID(); a == b || !fleet.ValidID(a) {
		t.Errorf("made %q and %q", a, b)
	}
	for _, id := range []string{"", "abcdefghijklmno", "abcdefghijklmnopq", "ABCDEFGHIJKLMNOP", "../../etc/passwd", "abcdefghijklmno\n", "ääääääää", "abcdefghijklmno\x00"} {
		if fleet.ValidID(id) {
			t.Errorf("%q is valid", id)
		}
	}
}

// A database may be OK by all its backups and test restores, while none of them can be restored as
// people restore.
func TestHealthWarnsOfABackupThatARestoreRefuses(t *testing.T) {
	facts := good()
	facts.Warnings = []string{"the agent's own"}
	facts.TestRestored = &fleet.Backup{ID: "id1", Findings: fleet.Findings{TestRestore: fleet.TestRestore{State: fleet.TestRestoreSucceeded, FinishedAt: now}}}
	evaluate := func() fleet.DatabaseStatus { return fleet.Evaluate(facts, fleet.DefaultThresholds, now, heartbeat) }
	if got := evaluate(); len(got.Warnings) != 1 {
		t.Errorf("of one that all take: %q", got.Warnings)
	}
	facts.TestRestored.TestRestore.Refuses = "index given calls app.fits"
	got := evaluate()
	if got.Verdict != fleet.VerdictOK || len(got.Warnings) != 2 || !strings.Contains(got.Warnings[0], `backup id1 of "shop"`) ||
		!strings.Contains(got.Warnings[0], "index given calls app.fits") {
		t.Errorf("%s, %q", got.Verdict, got.Warnings)
	}
	if len(facts.Warnings) != 1 {
		t.Errorf("the facts have changed: %q", facts.Warnings)
	}
}

// A backup that is in the list, and that failed its test restore or is damaged, is not none.
func TestHealthTellsNoBackupFromNoGoodOne(t *testing.T) {
	tested := &fleet.Backup{ID: "id1", Findings: fleet.Findings{TestRestore: fleet.TestRestore{State: fleet.TestRestoreFailed, FinishedAt: now}}}
	for want, change := range map[string]func(*fleet.Facts){
		"there is no backup":      func(*fleet.Facts) {},
		"there is no good backup": func(f *fleet.Facts) { f.TestRestored = tested },
		"there is no good backup, and the agent's schedule is off": func(f *fleet.Facts) {
			f.Damaged, f.Covered, f.Agent.Status.BackupsEnabled = 1, false, false
		},
	} {
		facts := good()
		facts.NewestBackup = nil
		change(&facts)
		status := fleet.Evaluate(facts, fleet.DefaultThresholds, now, heartbeat)
		if !slices.ContainsFunc(status.Reasons, func(r fleet.Reason) bool { return r.Text == want }) {
			t.Errorf("want %q: %+v", want, status.Reasons)
		}
	}
}
