package catalog_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func prune(t *testing.T, c *catalog.Catalog, at time.Time) int {
	t.Helper()
	pruned, err := c.Prune(t.Context(), fleet.DefaultKeep, at)
	if err != nil {
		t.Fatal(err)
	}
	return pruned
}

const longAgo = 100 * 24 * time.Hour

func TestOldRunsGoAndTheNewestOfEachDatabaseStays(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	for n := range 500 { // more than a transaction takes
		record(t, c, runOf("db1", "shop", now.Add(time.Duration(n)*time.Second)), nil)
	}
	running := runOf("db1", "shop", now)
	running.State, running.FinishedAt = fleet.RunRunning, time.Time{}
	record(t, c, running, nil)
	record(t, c, runOf("db1", "other", now), nil)
	if n := prune(t, c, now.Add(25*24*time.Hour)); n != 0 {
		t.Errorf("%d went before their time", n)
	}
	if n := prune(t, c, now.Add(longAgo)); n != 499+1 { // and an invite
		t.Errorf("%d went", n)
	}
	runs, _, err := c.Runs.List(t.Context(), catalog.RunQuery{})
	if err != nil || len(runs) != 3 {
		t.Errorf("%+v, %v", runs, err)
	}
	for _, f := range factsOf(t, c) {
		if f.NewestRun == nil {
			t.Errorf("%s has no newest run", f.Database)
		}
	}
}

func TestEndedJobsGoAndARestoreThatCanBeUndoneStays(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	job := func(state fleet.JobState, outcome *fleet.RestoreOutcome) string {
		j, err := c.Jobs.Create(t.Context(), fleet.Job{
			ID: fleet.NewID(), Kind: fleet.JobRestore, Instance: "db1", RequestedBy: "user:a", CreatedAt: now, Deadline: now.Add(time.Minute),
		})
		if err != nil {
			t.Fatal(err)
		}
		if state == "" {
			return j.ID
		}
		if outcome != nil {
			outcome.RestoreID = j.ID
		}
		result := fleet.JobResult{State: state, FinishedAt: now, Restore: outcome, Checks: []fleet.PreflightCheck{{Name: "n"}}}
		if _, err := c.Jobs.Finish(t.Context(), "db1", j.ID, result, now); err != nil {
			t.Fatal(err)
		}
		return j.ID
	}
	over := []string{
		job(fleet.JobSucceeded, nil), job(fleet.JobFailed, nil), job(fleet.JobLost, nil),
		job(fleet.JobSucceeded, &fleet.RestoreOutcome{Displaced: "shop_before", DisplacedUntil: now.Add(time.Hour)}),
	}
	stay := []string{
		job("", nil), job(fleet.JobSucceeded, &fleet.RestoreOutcome{Displaced: "shop_before"}),
		job(fleet.JobSucceeded, &fleet.RestoreOutcome{Displaced: "shop_before", DisplacedUntil: now.Add(2 * longAgo)}),
	}
	prune(t, c, now.Add(longAgo))
	for _, id := range over {
		if _, err := c.Jobs.Get(t.Context(), id); !errors.Is(err, fleet.ErrNotFound) {
			t.Errorf("a job that is over: %v", err)
		}
	}
	for _, id := range stay {
		if _, err := c.Jobs.Get(t.Context(), id); err != nil {
			t.Errorf("a job that is needed: %v", err)
		}
	}
}

// The place in the chain of signatures, and the test restores, outlive the files.
func TestRemovedBackupsGoAndWhatOthersAreHeldAgainstStays(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	removed := func(change func(*fleet.Backup)) fleet.Backup {
		b := aBackup("db1", now)
		change(&b)
		record(t, c, aRun("db1", now), &b)
		if err := c.Backups.RecordRemoved(t.Context(), "db1", b.ID, "old", now, now); err != nil {
			t.Fatal(err)
		}
		return b
	}
	plain := removed(func(*fleet.Backup) {})
	early := removed(func(b *fleet.Backup) { b.Manifest.Sequence, b.Manifest.SignedBy = 1, "k" })
	newest := removed(func(b *fleet.Backup) { b.Manifest.Sequence, b.Manifest.SignedBy = 2, "k" })
	tested := removed(func(*fleet.Backup) {})
	if err := c.Backups.RecordTestRestore(t.Context(), "db1", tested.ID, fleet.TestRestore{State: fleet.TestRestoreSucceeded, FinishedAt: now}); err != nil {
		t.Fatal(err)
	}
	present := aBackup("db1", now)
	record(t, c, aRun("db1", now), &present)
	prune(t, c, now.Add(longAgo))
	for b, stays := range map[*fleet.Backup]bool{&plain: false, &early: false, &newest: true, &tested: true, &present: true} {
		if _, err := c.Backups.Get(t.Context(), b.ID); errors.Is(err, fleet.ErrNotFound) == stays {
			t.Errorf("a backup that stays %t: %v", stays, err)
		}
	}
	forged := aBackup("db1", now)
	forged.Manifest.Sequence, forged.Manifest.SignedBy = 2, "k"
	if suspects, err := c.Backups.Witness(t.Context(), "db1", []fleet.Backup{forged}); err != nil || suspects[forged.ID] == "" {
		t.Errorf("a chain that goes back: %v, %v", suspects, err)
	}
}

func TestExpiredInvitesGoAndTheAuditLogStays(t *testing.T) {
	c, _ := open(t)
	old := invite(t, c, fleet.CallerUser, "ada", fleet.RoleViewer)
	for n := range 10 {
		if _, err := c.AuditLog.Append(t.Context(), chain.Entry{At: now, Action: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := prune(t, c, now.Add(longAgo)); n != 1 {
		t.Errorf("%d went", n)
	}
	if _, err := c.Invites.Get(t.Context(), old.SecretHash); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("the invite: %v", err)
	}
	verifyAuditLog(t, c, 10)
}
