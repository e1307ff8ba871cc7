package command

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func wants(t *testing.T, got result, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(strings.Join(strings.Fields(got.stdout), " "), text) {
			t.Errorf("%q is missing in\n%s", text, got.stdout)
		}
	}
}

func TestShowTellsWhatIsKnownBesideTheManifest(t *testing.T) {
	f := loggedIn(t)
	f.clock.at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.backups = sampleBackups()
	wants(t, f.run(t, "show", "id1"), "Proven no")

	b := f.backups[0]
	b.Held, b.HeldBy, b.HoldReason = true, "user:ada", "the audit\nof 2026"
	b.ScrubbedAt = timestamppb.New(f.clock.at)
	b.Proof = &pgharborv1.Proof{
		State: "failed", FinishedAt: timestamppb.New(f.clock.at.Add(-time.Hour)), ServerVersion: "15.18", Method: "throwaway",
		RestoreTook: durationpb.New(90 * time.Second), Took: durationpb.New(2 * time.Minute), Tables: 12, Rows: 1234567,
		Differences: []string{"table public.goods has 9 rows, and 10 went by in the dump"},
	}
	wants(t, f.run(t, "show", "id1"), "Retention held", "Held by user:ada", "Why held the audit; of 2026", "Scrubbed 2026-11-23 12:00:00 UTC",
		"Proven failed, 2026-11-23 11:00:00 UTC, 60m ago", "How in a throwaway server, PostgreSQL 15.18", "Counted 12 tables, 1,234,567 rows",
		"Restore took 1m30s", "Differs table public.goods has 9 rows")
	wants(t, f.run(t, "list"), "held")

	b.State, b.Damage, b.Complete, b.Proof.Method = "damaged", "its hash is not the one that it was stored with", false, "instance"
	got := f.run(t, "show", "id1")
	wants(t, got, "State damaged", "Damage its hash is not", "in a temporary database of the instance")
	if strings.Contains(got.stdout, "end marker") {
		t.Errorf("a damaged backup is called incomplete:\n%s", got.stdout)
	}
}

func TestHealthTellsHowLongARestoreTakes(t *testing.T) {
	f := loggedIn(t)
	f.clock.at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.health = &pgharborv1.GetHealthResponse{Healthy: true, Databases: []*pgharborv1.DatabaseHealth{
		{Instance: "shop-db", Database: "shop", Verdict: "OK", RestoreTakes: durationpb.New(754 * time.Second), Proof: &pgharborv1.Proof{
			State: "succeeded", FinishedAt: timestamppb.New(f.clock.at.Add(-26 * time.Hour)),
		}},
		{Instance: "shop-db", Database: "crm", Verdict: "OK"},
	}}
	got := f.run(t, "health")
	wants(t, got, "shop-db shop: a restore of this database takes about 12m; last put to the test 26h ago")
	if strings.Contains(got.stdout, "crm: a restore") {
		t.Errorf("of what was never tried:\n%s", got.stdout)
	}
}

// That a backup's test restore succeeded is half of it, if a restore will refuse it.
func TestVerifySaysWhatARestoreWillRefuse(t *testing.T) {
	f := loggedIn(t)
	f.backups = sampleBackups()
	f.watch = ends(&pgharborv1.Job{Id: "job1", State: "succeeded"})
	testRestore := &pgharborv1.Proof{State: "succeeded", ServerVersion: "15.18", Tables: 2, Rows: 3}
	f.backups[0].Proof = testRestore
	const refused = "It will be refused by a restore into a live server, without --trust-content: index given calls app.fits"
	if got := f.run(t, "verify", "id1"); !strings.Contains(got.stdout, "id1 restores") || strings.Contains(got.stdout, "refused") {
		t.Errorf("one that is not refused: %+v", got)
	}
	testRestore.Refuses = "index given calls app.fits"
	got := f.run(t, "verify", "id1")
	wants(t, got, "Backup id1 restores: 2 tables with 3 rows", refused)
	if got.code != exit.Done {
		t.Errorf("%+v", got)
	}
	wants(t, f.run(t, "show", "id1"), "Refuses a restore into a live server, without --trust-content: index given calls app.fits")
}

func (f *fleet) ReleaseBackup(context.Context, *pgharborv1.ReleaseBackupRequest) (*pgharborv1.ReleaseBackupResponse, error) {
	return &pgharborv1.ReleaseBackupResponse{Job: &pgharborv1.Job{Id: "job1", Kind: "release", Instance: "shop-db", State: "queued"}}, nil
}

func TestAReleaseOfWhatNobodyHeldSaysSo(t *testing.T) {
	f := loggedIn(t)
	f.backups = sampleBackups()
	f.watch = ends(&pgharborv1.Job{Id: "job1", State: "succeeded"})
	f.backups[0].Held = true
	wants(t, f.run(t, "release", "id1"), "Backup id1 is no longer held.")
	f.backups[0].Held = false
	wants(t, f.run(t, "release", "id1"), "Backup id1 is not held, and as far as is known it was not.")
}
