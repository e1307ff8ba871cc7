package job

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/agent/throwaway"
)

// testRestoreServer is a folder for throwaway servers: a short path, which their user
// can reach.
func testRestoreServer(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pgv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// testRestores are those of the journal, as "backup state".
func testRestores(t *testing.T, r *Runner) (told []string) {
	t.Helper()
	for _, entry := range entries(t, r.State) {
		if entry.TestRestore != nil {
			told = append(told, entry.TestRestore.BackupID+" "+entry.TestRestore.TestRestore.State)
		}
	}
	return told
}

// A test restore has no use for the globals file, and does not make a damaged one good.
func TestATestRestoreDoesNotHideDamagedGlobals(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "proven")
	ground := testRestoreServer(t)
	r := newRunner(t, func(c *Config) { c.Plan.Verify.Dir = ground })
	outcome := r.Runs.BackUp(t.Context(), Request{Databases: []string{"proven"}, Trigger: state.TriggerManual})[0]
	if outcome.Err != nil || outcome.Manifest.Globals == nil {
		t.Fatalf("%+v", outcome)
	}
	path := store.GlobalsName(folderOf(r.Engine).Path(r.Inventory.Current().Backups[0].Location))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, look := range []func(){
		func() { r.scrubber.scrub(t.Context(), r.Inventory.Current().Backups[0]) },
		func() { accept(t, r, Job{ID: "job1", Spec: VerifySpec{BackupID: outcome.Manifest.ID}}) },
	} {
		look()
		if b := r.Inventory.Current().Backups[0]; b.State != backup.StateDamaged || !strings.Contains(b.Damage, "roles") {
			t.Errorf("it is %s: %q, its test restore %+v", b.State, b.Damage, b.Check.TestRestore)
		}
	}
}

func TestVerifyJob(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "proven")
	server.Exec(t, "proven", "CREATE TABLE goods AS SELECT generate_series(1, 100) AS id")
	ground := testRestoreServer(t)
	r := newRunner(t, func(c *Config) { c.Plan.Verify.Dir = ground })
	outcome := r.Runs.BackUp(t.Context(), Request{Databases: []string{"proven"}, Trigger: state.TriggerManual})[0]
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	id := outcome.Manifest.ID
	before := r.Inventory.Current().Digest
	if result := accept(t, r, Job{ID: "job1", Spec: VerifySpec{BackupID: id}}); result.State != state.StateSucceeded {
		t.Fatalf("result %+v", result)
	}
	check := r.Inventory.Current().Backups[0].Check
	if check.TestRestore == nil || check.TestRestore.Rows != 100 || check.TestRestore.Tables != 1 || !check.ScrubbedAt.Equal(check.TestRestore.FinishedAt) {
		t.Errorf("remembered: %+v", check)
	}
	if r.Inventory.Current().Digest == before {
		t.Error("the digest has not changed")
	}
	// One that does not come back is distinguished from one that could not be tried.
	path := folderOf(r.Engine).Path(r.Inventory.Current().Backups[0].Location)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(content), "goods", "GOODS", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if result := accept(t, r, Job{ID: "job2", Spec: VerifySpec{BackupID: id}}); result.Failure != backup.FailureIntegrity || !strings.Contains(result.Error, "damaged") {
		t.Errorf("of a damaged one: %+v", result)
	}
	plan := r.Plans.Get()
	plan.Verify.Bin = t.TempDir()
	r.Plans.Set(plan)
	if result := accept(t, r, Job{ID: "job3", Spec: VerifySpec{BackupID: id}}); result.Failure != backup.FailureOther || !strings.Contains(result.Error, "BACKUP_VERIFY_IN_INSTANCE") {
		t.Errorf("without a server: %+v", result)
	}
	if result := accept(t, r, Job{ID: "job4", Spec: VerifySpec{BackupID: "gone"}}); result.Failure != backup.FailureNotFound {
		t.Errorf("of nothing: %+v", result)
	}
	if diff := cmp.Diff([]string{id + " succeeded", id + " failed"}, testRestores(t, r)); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	if r.Inventory.Current().Backups[0].good() {
		t.Error("it counts as good")
	}
	if left, err := os.ReadDir(ground); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if works, err := r.State.Records.Abandoned(); len(works) != 0 || err != nil {
		t.Errorf("records are left: %v, %v", works, err)
	}
}

func TestVerifyIsBoundedInTime(t *testing.T) {
	ground := testRestoreServer(t)
	r := newRunner(t, func(c *Config) { c.Plan.Verify.Dir, c.Plan.Verify.Timeout = ground, time.Millisecond })
	storeBackup(t, r, "shop", backupID(0), "run", today)
	_, err := r.Verifier.VerifyBackup(t.Context(), backupID(0), nil)
	if !errors.Is(err, errTooSlow) {
		t.Errorf("after its time: %v", err)
	}
	if told := testRestores(t, r); len(told) != 0 {
		t.Errorf("that is no test restore: %v", told)
	}
	if left, err := os.ReadDir(ground); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestTheNewestOfEachDatabaseIsPutToTheTest(t *testing.T) {
	schedule, err := ParseSchedule("0 4 * * 0", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	sunday := time.Date(2026, 11, 22, 3, 59, 59, 0, time.UTC)
	ground := testRestoreServer(t)
	r := newRunner(t, func(c *Config) {
		c.Plan.Verify = Verify{Schedule: schedule, Dir: ground}
		c.Now = func() time.Time { return sunday.Add(time.Since(begin)) }
	})
	// Their content is no dump, which makes of each a test restore that fails.
	storeBackup(t, r, "a", backupID(0), "run", sunday.AddDate(0, 0, -2))
	storeBackup(t, r, "a", backupID(1), "run", sunday.AddDate(0, 0, -1))
	storeBackup(t, r, "b", backupID(2), "run", sunday.AddDate(0, 0, -3))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.scheduler.keepTesting(ctx)
	}()
	for ctx.Err() == nil && len(testRestores(t, r)) < 2 {
		select {
		case <-r.State.Journal.Changed():
		case <-ctx.Done():
		}
	}
	status := r.Status.Last()
	cancel()
	<-ended
	if diff := cmp.Diff([]string{backupID(1) + " failed", backupID(2) + " failed"}, testRestores(t, r)); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	if next := time.Date(2026, 11, 29, 4, 0, 0, 0, time.UTC); status.VerifySchedule != "0 4 * * 0" || !status.NextVerify.Equal(next) {
		t.Errorf("status: %q, next %s", status.VerifySchedule, status.NextVerify)
	}
}

// What failed its test restore is not one of the good ones that stay whatever their age; and while
// it is the newest, nothing goes.
func TestRetentionCountsNoBackupThatFailedItsTestRestore(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withDays(r, t, 90, 80, 70, 60, 50) // two of them stay
	failed := backup.Disproof(errors.New("it has 9 rows"), today)
	fail := func(n int, testRestore *backup.Proof) {
		t.Helper()
		if err := r.State.Checks.Update(backupID(n), func(c *state.CheckState) { c.TestRestore = testRestore }); err != nil {
			t.Fatal(err)
		}
	}
	fail(3, &failed)
	fail(4, &failed)
	r.purger.purge(t.Context())
	if ids := inventoryIDs(r); len(ids) != 5 {
		t.Errorf("removed while the newest has failed its test restore: %v are left", ids)
	}
	fail(4, nil) // there is a newer one
	r.purger.purge(t.Context())
	if diff := cmp.Diff([]string{backupID(2), backupID(4)}, inventoryIDs(r)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	files, err := os.ReadDir(filepath.Join(r.State.Dir(), "checks"))
	if err != nil || slices.ContainsFunc(files, func(f os.DirEntry) bool { return f.Name() == backupID(3)+".json" }) {
		t.Errorf("what was known of a removed backup is kept: %v, %v", files, err)
	}
}

func TestRecoverRemovesWhatATestRestoreLeft(t *testing.T) {
	ground := testRestoreServer(t)
	r := newRunner(t, func(c *Config) { c.Plan.Verify.Dir = ground })
	dir := filepath.Join(ground, throwaway.Prefix+"1")
	if _, err := throwaway.Start(t.Context(), r.Engine.Instance, throwaway.Request{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	abandon(t, r.State, state.Record{ID: "verify-1", Throwaway: dir})
	r = newRunner(t, func(c *Config) { c.State, c.Engine = openState(t, r.State.Dir()), r.Engine })
	if err := r.Recovery.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(ground); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if works, err := r.State.Records.Abandoned(); len(works) != 0 || err != nil {
		t.Errorf("records are left: %v, %v", works, err)
	}
}

// Anyone who asks for a preflight of a restore is told what the newest test restore has shown.
func TestPreviewKnowsTheTestRestore(t *testing.T) {
	postgrestest.Shared(t).CreateDatabase(t, "foretold")
	r := newRunner(t, nil)
	outcome := r.Runs.BackUp(t.Context(), Request{Databases: []string{"foretold"}, Trigger: state.TriggerManual})[0]
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	id := outcome.Manifest.ID
	look := func(job string) string {
		t.Helper()
		result := accept(t, r, Job{ID: job, Spec: PreviewSpec{RestoreSpec{BackupID: id, Target: "again"}}})
		for _, check := range result.Checks {
			if check.Name == "proof" {
				return check.Result + " " + check.String()
			}
		}
		t.Errorf("%s has no word of a test restore: %+v", job, result)
		return ""
	}
	verify := func(p backup.Proof) {
		t.Helper()
		p.FinishedAt = time.Now().UTC()
		if err := r.State.Checks.Update(id, func(c *state.CheckState) { c.TestRestore = &p }); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(got string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(got, text) {
				t.Errorf("%q has no %q", got, text)
			}
		}
	}
	holds(look("job1"), "WARN", "never restored for a test")
	verify(backup.Proof{State: backup.ProofSucceeded})
	holds(look("job2"), "OK", "was restored for a test")
	verify(backup.Proof{State: backup.ProofSucceeded, Refuses: "index given calls app.fits"})
	holds(look("job3"), "WARN", "will be refused: index given calls app.fits", "--trust-content")
	if got := backup.ProofCheck(r.Inventory.Current().Backups[0].Check.TestRestore, true); got.Result != backup.CheckOK {
		t.Errorf("who trusts the content is told %s", got)
	}
	verify(backup.Proof{State: backup.ProofFailed, Differences: []string{"table public.t did not come back"}})
	holds(look("job5"), "WARN", "failed: table public.t did not come back", "another backup")
}
