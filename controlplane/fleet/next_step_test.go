package fleet_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/shell/shelltest"
)

// allWrong is a database of which all is wrong that can be at once, with a name for whatever has one.
func allWrong(name string) fleet.Facts {
	f := good()
	f.Instance, f.Database, f.Covered = name, name, false
	f.Agent.LastSeenAt = now.Add(-time.Hour)
	f.Agent.Duplicate = fleet.Duplicate{Host: name, At: now}
	f.Agent.ClockOffset = time.Hour
	f.Agent.Status.CertificateEndsAt = now.Add(time.Hour)
	f.Agent.Status.ServerVersion, f.Agent.Status.DumpVersion = "17.1", "15.1"
	f.Agent.Status.RetentionBlocked, f.Agent.Status.FolderWarning = name, name
	f.Agent.Status.NextVerifyAt = now.AddDate(0, 0, -7)
	f.Missing, f.Damaged, f.Damage = 1, 1, name
	f.NewestRun = &fleet.Run{State: fleet.RunFailed, Error: name}
	f.NewestBackup = &fleet.Backup{ID: name, CreatedAt: now.AddDate(0, 0, -9), SizeBytes: 1}
	f.TestRestored = &fleet.Backup{ID: name, Findings: fleet.Findings{TestRestore: fleet.TestRestore{State: fleet.TestRestoreFailed, Differences: []string{name}}}}
	f.Running = &fleet.Run{StartedAt: now.AddDate(0, 0, -3)}
	return f
}

// Whatever a database, an instance or a backup is called, a next step that is pasted, all of it, runs nothing of it.
func TestANextStepIsSafeToPaste(t *testing.T) {
	seen, tried := map[fleet.Verdict]bool{}, map[string]bool{}
	for _, name := range slices.Concat(shelltest.Hostile, shelltest.Unseen) {
		for _, facts := range []fleet.Facts{allWrong(name), func() fleet.Facts { f := allWrong(name); f.Covered = true; return f }()} {
			for _, reason := range fleet.Evaluate(facts, fleet.Thresholds{Encryption: true, StaleAfter: time.Hour, HangAfter: time.Hour, TestRestoreWithin: time.Hour}, now, heartbeat).Reasons {
				seen[reason.Verdict] = true
				if tried[reason.NextStep] {
					continue
				}
				tried[reason.NextStep] = true
				if _, files := shelltest.Paste(t, reason.NextStep); len(files) > 0 {
					t.Errorf("%s of %q: %s\nmade %q", reason.Verdict, name, reason.NextStep, files)
				}
				if strings.ContainsAny(reason.NextStep, "\n\r\x1b\u202e\u200b\u2028") {
					t.Errorf("%s of %q: %q", reason.Verdict, name, reason.NextStep)
				}
			}
		}
	}
	if len(seen) < 11 {
		t.Errorf("only %v were looked at", seen)
	}
}

// A database that is called * can't have its whole instance passed over.
func TestANameWithAWildcardIsNoPattern(t *testing.T) {
	facts := good()
	facts.Covered, facts.NewestBackup = false, nil
	step := func(database string) string {
		facts.Database = database
		return fleet.Evaluate(facts, fleet.DefaultThresholds, now, heartbeat).Reasons[0].NextStep
	}
	if got := step("a;b"); !strings.Contains(got, `pgharbor thresholds set db1/a\;b --ignore`) {
		t.Error(got)
	}
	for _, database := range []string{"*", "sh?p"} {
		if got := step(database); strings.Contains(got, "thresholds") {
			t.Errorf("%s: %s", database, got)
		}
	}
}

func TestAHintIsSafeToPaste(t *testing.T) {
	for _, name := range shelltest.Hostile {
		p := fleet.NewProblem(fleet.ErrExists, "x").WithHint("the user's role: pgharbor users set %s --role ROLE", name)
		if _, files := shelltest.Paste(t, p.Hint); len(files) > 0 {
			t.Errorf("%q: %s\nmade %q", name, p.Hint, files)
		}
	}
}
