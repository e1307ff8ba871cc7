package job

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
)

// Killed as each step begins, and right after the last, the restore leaves a database in service and nothing half done.
func TestReplaceKilledAtEachStep(t *testing.T) {
	y := newYard(t)
	for step, want := range map[string]string{
		backup.PhaseVerify: "old", backup.PhaseRestore: "old", backup.PhaseCompare: "old", backup.PhaseAnalyze: "old",
		backup.PhaseSwap: "old", swapped: "new", never: "new",
	} {
		err := y.start(step).Wait()
		if killed := err != nil && strings.Contains(err.Error(), "killed"); killed == (step == never) {
			t.Fatalf("killed at %s: the process ended with %v", step, err)
		}
		y.inService()
		if in := y.recover(); in != want {
			t.Errorf("killed at %s, the %s one is in service", step, in)
		}
		if want == "new" {
			y.putBack()
		}
	}
}

// Killed in the middle of the transaction that exchanges the two, nothing of it has happened.
func TestReplaceKilledInTheExchange(t *testing.T) {
	y := newYard(t)
	holder, err := pgx.Connect(t.Context(), y.server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close(context.WithoutCancel(t.Context()))
	// Another hand on the database keeps it from being renamed for as long as this transaction lasts.
	if _, err := holder.Exec(t.Context(), "BEGIN; COMMENT ON DATABASE shop IS 'held'"); err != nil {
		t.Fatal(err)
	}
	process := y.start(never)
	deadline := time.Now().Add(time.Minute)
	for y.server.Value(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgharbor_swap_%' AND wait_event_type = 'Lock'") == "0" {
		if time.Now().After(deadline) {
			t.Fatal("no exchange waits for the lock")
		}
	}
	if files, _ := filepath.Glob(filepath.Join(y.runner.State.Dir(), "kept", "*.json")); len(files) != 1 {
		t.Fatalf("it was not recorded before it began: %v", files)
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait()
	if _, err := holder.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if in := y.recover(); in != "old" {
		t.Errorf("the %s one is in service", in)
	}
}

// Killed at random moments, and with its sessions ended at random moments: the same.
func TestReplaceStruckAtRandom(t *testing.T) {
	const strikes = 8
	seed := rand.Uint64()
	if given := os.Getenv("REPLACE_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("replay with REPLACE_SEED=%d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	y := newYard(t)
	began := time.Now()
	if err := y.start(never).Wait(); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(began)
	y.recover()
	y.putBack()
	for n := range strikes {
		process := y.start(never)
		moment := time.Duration(moments.Int64N(int64(whole)))
		timer := time.AfterFunc(moment, func() {
			if n%2 == 0 {
				_ = process.Process.Kill()
				return
			}
			y.server.Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgharbor%' OR application_name = 'psql'")
		})
		_ = process.Wait()
		timer.Stop()
		y.inService()
		in := y.recover()
		t.Logf("struck after %s: the %s one is in service", moment, in)
		if in == "new" {
			y.putBack()
		}
	}
}

// An undo that is refused changes nothing: of a restore that a later one has followed, with a wrong name, of none.
func TestUndoRefusals(t *testing.T) {
	y := newYard(t)
	for range 2 {
		if err := y.start(never).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	displaced, err := y.runner.State.Displaced.All() // the newest first
	if err != nil || len(displaced) != 2 {
		t.Fatalf("kept: %v, %v", displaced, err)
	}
	if _, err := y.runner.Displacements.Undo(t.Context(), displaced[1].RestoreID, "shop"); !errors.Is(err, backup.ErrNotInPlace) {
		t.Errorf("the earlier of two: %v", err)
	}
	if _, err := y.runner.Displacements.Undo(t.Context(), displaced[0].RestoreID, "shops"); !errors.Is(err, ErrConfirmation) {
		t.Errorf("a wrong name: %v", err)
	}
	for _, id := range []string{"none", "../x", ""} {
		if _, err := y.runner.Displacements.Undo(t.Context(), id, "shop"); !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if in := y.inService(); in != "new" || len(y.beside()) != 2 {
		t.Errorf("%s is in service, beside it %v", in, y.beside())
	}
	// The later one first, and then the earlier one may be undone too.
	for _, k := range displaced {
		if _, err := y.runner.Displacements.Undo(t.Context(), k.RestoreID, "shop"); err != nil {
			t.Error(err)
		}
	}
	if in := y.inService(); in != "old" {
		t.Errorf("the %s one is in service", in)
	}
	if _, err := y.runner.Displacements.Undo(t.Context(), displaced[0].RestoreID, "shop"); err == nil || !strings.Contains(err.Error(), "was undone") {
		t.Errorf("a second undo: %v", err)
	}
}

// A restored database that was dropped does not keep the old one from coming back.
func TestUndoWithoutTheRestoredOne(t *testing.T) {
	y := newYard(t)
	if err := y.start(never).Wait(); err != nil {
		t.Fatal(err)
	}
	y.recover()
	y.server.DropDatabase(t, "shop")
	y.runner.Displacements.maintain(t.Context())
	displaced, err := y.runner.State.Displaced.All()
	if err != nil || len(displaced) != 1 {
		t.Fatalf("kept: %v, %v", displaced, err)
	}
	if _, err := y.runner.Displacements.Undo(t.Context(), displaced[0].RestoreID, "shop"); err != nil {
		t.Fatal(err)
	}
	if in := y.inService(); in != "old" {
		t.Errorf("the %s one is in service", in)
	}
}

// What was replaced is kept for its days, never dropped before the new one has stood for them, and
// dropped then. It is no database to back up.
func TestDisplacedForItsDays(t *testing.T) {
	y := newYard(t)
	if err := y.start(never).Wait(); err != nil {
		t.Fatal(err)
	}
	y.recover()
	displaced, _ := y.runner.State.Displaced.All()
	now := displaced[0].ReplacedAt
	y.runner.Clock.now = func() time.Time { return now }
	at := func(later time.Duration) []string {
		now = displaced[0].ReplacedAt.Add(later)
		if err := y.runner.Clock.guard.Confirm(now, now); err != nil {
			t.Fatal(err)
		}
		y.runner.Displacements.maintain(t.Context())
		return y.beside()
	}
	if left := at(7*24*time.Hour - time.Second); len(left) != 1 {
		t.Errorf("a second before its time, there is %v", left)
	}
	if warnings := fmt.Sprint(y.runner.Status.Last().Warnings); !strings.Contains(warnings, displaced[0].OldName) || !strings.Contains(warnings, "MiB") {
		t.Errorf("nobody is told of what takes space: %s", warnings)
	}
	if outcomes := y.runner.coverage.covered(t.Context()); !slices.Equal(outcomes, []string{"postgres", "shop"}) {
		t.Errorf("backed up are %v", outcomes)
	}
	// While the restored one is not in service, the old one stays.
	y.server.Exec(t, "postgres", "ALTER DATABASE shop RENAME TO elsewhere")
	if left := at(8 * 24 * time.Hour); !slices.Contains(left, displaced[0].OldName) {
		t.Errorf("the old one was dropped while the new one did not stand: %v", left)
	}
	y.server.Exec(t, "postgres", "ALTER DATABASE elsewhere RENAME TO shop")
	// Nor while somebody exchanges databases.
	release, err := y.runner.State.Displaced.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left := at(8 * 24 * time.Hour); len(left) != 1 {
		t.Errorf("the old one was dropped in the midst of an undo: %v", left)
	}
	release()
	if left := at(8 * 24 * time.Hour); len(left) != 0 {
		t.Errorf("past its time, there is %v", left)
	}
	if displaced, _ := y.runner.State.Displaced.All(); len(displaced) != 0 || strings.Contains(fmt.Sprint(y.runner.Status.Last().Warnings), "kept") {
		t.Errorf("what is gone is still told of: %v", displaced)
	}
	y.inService()
}

// An agent that dies between an exchange and its record finds out at its next start what has happened, and tells it.
func TestAnExchangeThatNobodyRecordedIsRecordedLater(t *testing.T) {
	y := newYard(t)
	if err := y.start(never).Wait(); err != nil {
		t.Fatal(err)
	}
	all, err := y.runner.State.Displaced.All()
	if err != nil || len(all) != 1 {
		t.Fatalf("kept: %v, %v", all, err)
	}
	// As the record is before the exchange: of a job of the control plane, and not known to have been carried out.
	displaced := all[0]
	displaced.JobID, displaced.ReplacedAt, displaced.Until = displaced.RestoreID, time.Time{}, time.Time{}
	if err := y.runner.State.Displaced.Save(displaced); err != nil {
		t.Fatal(err)
	}
	abandon(t, y.runner.State, state.Record{
		ID: "job-" + displaced.JobID, JobID: displaced.JobID, Restore: &state.Restore{ID: displaced.RestoreID, Target: "shop", Replace: true},
	})
	y.recover()
	told := entries(t, y.runner.State)
	if len(told) != 1 || told[0].Result == nil || told[0].Result.State != state.StateSucceeded || told[0].Result.Outcome == nil ||
		told[0].Result.Outcome.Displaced != displaced.OldName || told[0].Result.Outcome.Until.IsZero() {
		t.Errorf("told of the restore: %+v", told)
	}

	if err := y.runner.Engine.Undo(t.Context(), displaced.Replacement); err != nil {
		t.Fatal(err)
	}
	y.runner.Displacements.maintain(t.Context())
	recorded, err := y.runner.State.Displaced.Of(displaced.RestoreID)
	if err != nil || recorded == nil || recorded.UndoneAt.IsZero() || recorded.Name() != displaced.NewName || recorded.Until.IsZero() {
		t.Errorf("noted of the undo: %+v, %v", recorded, err)
	}
	told = entries(t, y.runner.State)
	if at := slices.IndexFunc(told, func(e state.Entry) bool { return e.Result.Outcome.Displaced == displaced.NewName }); len(told) != 2 || at < 0 ||
		told[at].Result.JobID != displaced.JobID || told[at].Result.Outcome.UndoneAt.IsZero() {
		t.Errorf("told of the undo: %+v", told)
	}
	y.server.DropDatabase(t, displaced.NewName)
	y.runner.Displacements.maintain(t.Context())
	told = entries(t, y.runner.State)
	if !slices.ContainsFunc(told, func(e state.Entry) bool { return e.Result.Outcome.Displaced == "" }) {
		t.Errorf("nobody was told that nothing is kept any more: %+v", told)
	}
}

// A record that is of another server is left alone.
func TestDisplacedOnAnotherServer(t *testing.T) {
	y := newYard(t)
	release, err := y.runner.State.Displaced.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = y.runner.State.Displaced.Save(state.DisplacedDatabase{RestoreID: "other", ReplacedAt: time.Unix(1, 0), Until: time.Unix(2, 0), Replacement: backup.Replacement{
		Server: "1", Database: "shop", OldOID: "1", OldName: "template1", NewOID: "2", NewName: "shop_undone_other",
	}})
	if err != nil {
		t.Fatal(err)
	}
	release()
	y.runner.Displacements.maintain(t.Context())
	if displaced, _ := y.runner.State.Displaced.All(); len(displaced) != 1 {
		t.Errorf("the record is gone: %v", displaced)
	}
	if _, err := y.runner.Displacements.Undo(t.Context(), "other", "shop"); err == nil {
		t.Error("it was undone here")
	}
}
