package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
)

// What a killed process did, and when it was to be killed: PHASE kills it when the phase begins, "swapped" right after the
// exchange, "never" not at all.
const (
	fileVariable = "PGHARBOR_TEST_FILE"
	dieVariable  = "PGHARBOR_TEST_DIE"
	swapped      = "swapped"
	never        = "never"
)

// replaceUntilKilled is a process of its own that restores a file over the database shop.
func replaceUntilKilled(folder *state.Folder) error {
	settings, err := postgres.SettingsFrom(os.Environ())
	if err != nil {
		return err
	}
	instance, err := postgres.Open(settings, folder.Dir())
	if err != nil {
		return err
	}
	files, err := store.Open(filepath.Join(folder.Dir(), "none"))
	if err != nil {
		return err
	}
	clock, err := retention.OpenClockGuard(filepath.Join(folder.Dir(), "clock.json"))
	if err != nil {
		return err
	}
	r := New(Config{
		Engine: &backup.Engine{Instance: instance, Store: files, InstanceName: "shop-db", Now: time.Now},
		State:  folder, Log: slog.New(slog.DiscardHandler), Now: time.Now, Clock: clock, KeepOldDays: 7,
	})
	die := os.Getenv(dieVariable)
	request := backup.RestoreRequest{Path: os.Getenv(fileVariable), Target: "shop", Replace: true, OnProgress: func(p backup.Progress) {
		if p.Phase == die && p.DoneObjects == 0 || die == swapped && p.Phase == backup.PhaseSwap && p.DoneObjects == 1 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}}
	_, _, err = r.RestoreFile(context.Background(), request, backup.Origin{Kind: backup.OriginUnknown}, ConsentTrust)
	return err
}

// yard is a server of its own with a database shop in service, and a dump that
// is to replace it. The one in service has the row "old", the dump "new".
type yard struct {
	*testing.T
	server *postgrestest.Server
	runner *Runner
	dump   string
}

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{T: t, server: postgrestest.Start(t), dump: filepath.Join(t.TempDir(), "backup.sql")}
	y.server.Exec(t, "postgres", "CREATE DATABASE shop")
	y.server.Exec(t, "shop", "CREATE TABLE goods (name text, filler text); INSERT INTO goods SELECT 'new', repeat('x', 1000) FROM generate_series(1, 2000)")
	cmd := exec.CommandContext(t.Context(), filepath.Join(y.server.Bin, "pg_dump"), "--file="+y.dump, "shop")
	cmd.Env = y.server.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pg_dump: %v\n%s", err, out)
	}
	y.server.Exec(t, "shop", "UPDATE goods SET name = 'old'")
	y.runner = newRunner(t, func(c *Config) {
		c.Engine.Instance = instanceOf(t, y.server)
		c.KeepOldDays = 7
	})
	return y
}

// start begins a process that replaces shop.
func (y *yard) start(die string) *exec.Cmd {
	y.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(y.Context()), os.Args[0], y.runner.State.Dir())
	cmd.Env = append(y.server.Environ(), childVariable+"=replace", fileVariable+"="+y.dump, dieVariable+"="+die)
	if err := cmd.Start(); err != nil {
		y.Fatal(err)
	}
	return cmd
}

// inService wants shop to be there, whole, and to be one of the two.
func (y *yard) inService() string {
	y.Helper()
	rows := y.server.Query(y.T, "shop", "SELECT name, count(*) FROM goods GROUP BY name")
	if len(rows) != 1 || rows[0][1] != "2000" || rows[0][0] != "old" && rows[0][0] != "new" {
		y.Fatalf("shop holds %v", rows)
	}
	return rows[0][0]
}

// recover is the next start of the agent, after which nothing may be half done: shop is
// the old one and nothing is left beside it, or it is the new one, and the old is kept and
// an undo brings it back.
func (y *yard) recover() string {
	y.Helper()
	y.runner = newRunner(y.T, func(c *Config) {
		c.State, c.Engine, c.KeepOldDays = openState(y.T, y.runner.State.Dir()), y.runner.Engine, 7
	})
	if err := y.runner.Recover(y.Context()); err != nil {
		y.Fatal(err)
	}
	kept, err := y.runner.State.Displaced.All()
	if err != nil {
		y.Fatal(err)
	}
	in, beside := y.inService(), y.beside()
	switch {
	case in == "old" && (len(kept) != 0 || len(beside) != 0):
		y.Fatalf("the old one is in service, and beside it are %v, recorded %v", beside, kept)
	case in == "new" && (len(kept) != 1 || len(beside) != 1 || beside[0] != kept[0].OldName || kept[0].ReplacedAt.IsZero()):
		y.Fatalf("the new one is in service, and beside it are %v, recorded %v", beside, kept)
	}
	return in
}

func (y *yard) beside() []string {
	return slices.DeleteFunc(y.server.Databases(y.T), func(name string) bool { return name == "shop" || name == "postgres" })
}

// putBack undoes what was replaced, and drops what that leaves.
func (y *yard) putBack() {
	y.Helper()
	kept, err := y.runner.State.Displaced.All()
	if err != nil || len(kept) != 1 {
		y.Fatalf("kept: %v, %v", kept, err)
	}
	if _, err := y.runner.Undo(y.Context(), kept[0].RestoreID, "shop"); err != nil {
		y.Fatal(err)
	}
	if in := y.inService(); in != "old" {
		y.Fatalf("after the undo, the %s one is in service", in)
	}
	y.server.DropDatabase(y.T, kept[0].NewName)
	y.runner.tendKept(y.Context())
	if kept, _ := y.runner.State.Displaced.All(); len(kept) != 0 {
		y.Fatalf("what is gone is still recorded: %v", kept)
	}
}

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

// Killed in the midst of the transaction that exchanges the two, nothing of it has happened.
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
	kept, err := y.runner.State.Displaced.All() // the newest first
	if err != nil || len(kept) != 2 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	if _, err := y.runner.Undo(t.Context(), kept[1].RestoreID, "shop"); !errors.Is(err, backup.ErrNotInPlace) {
		t.Errorf("the earlier of two: %v", err)
	}
	if _, err := y.runner.Undo(t.Context(), kept[0].RestoreID, "shops"); !errors.Is(err, ErrConfirmation) {
		t.Errorf("a wrong name: %v", err)
	}
	for _, id := range []string{"none", "../x", ""} {
		if _, err := y.runner.Undo(t.Context(), id, "shop"); !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if in := y.inService(); in != "new" || len(y.beside()) != 2 {
		t.Errorf("%s is in service, beside it %v", in, y.beside())
	}
	// The later one first, and then the earlier one may be undone too.
	for _, k := range kept {
		if _, err := y.runner.Undo(t.Context(), k.RestoreID, "shop"); err != nil {
			t.Error(err)
		}
	}
	if in := y.inService(); in != "old" {
		t.Errorf("the %s one is in service", in)
	}
	if _, err := y.runner.Undo(t.Context(), kept[0].RestoreID, "shop"); err == nil || !strings.Contains(err.Error(), "was undone") {
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
	y.runner.tendKept(t.Context())
	kept, err := y.runner.State.Displaced.All()
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	if _, err := y.runner.Undo(t.Context(), kept[0].RestoreID, "shop"); err != nil {
		t.Fatal(err)
	}
	if in := y.inService(); in != "old" {
		t.Errorf("the %s one is in service", in)
	}
}

// What was replaced is kept for its days, never dropped before the new one has stood for them, and dropped then. It is no
// database to back up.
func TestKeptForItsDays(t *testing.T) {
	y := newYard(t)
	if err := y.start(never).Wait(); err != nil {
		t.Fatal(err)
	}
	y.recover()
	kept, _ := y.runner.State.Displaced.All()
	now := kept[0].ReplacedAt
	y.runner.Now = func() time.Time { return now }
	at := func(later time.Duration) []string {
		now = kept[0].ReplacedAt.Add(later)
		if err := y.runner.Clock.Confirm(now, now); err != nil {
			t.Fatal(err)
		}
		y.runner.tendKept(t.Context())
		return y.beside()
	}
	if left := at(7*24*time.Hour - time.Second); len(left) != 1 {
		t.Errorf("a second before its time, there is %v", left)
	}
	if warnings := fmt.Sprint(y.runner.Status().Warnings); !strings.Contains(warnings, kept[0].OldName) || !strings.Contains(warnings, "MiB") {
		t.Errorf("nobody is told of what takes space: %s", warnings)
	}
	if outcomes := y.runner.covered(t.Context()); !slices.Equal(outcomes, []string{"postgres", "shop"}) {
		t.Errorf("backed up are %v", outcomes)
	}
	// While the restored one is not in service, the old one stays.
	y.server.Exec(t, "postgres", "ALTER DATABASE shop RENAME TO elsewhere")
	if left := at(8 * 24 * time.Hour); !slices.Contains(left, kept[0].OldName) {
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
	if kept, _ := y.runner.State.Displaced.All(); len(kept) != 0 || strings.Contains(fmt.Sprint(y.runner.Status().Warnings), "kept") {
		t.Errorf("what is gone is still told of: %v", kept)
	}
	y.inService()
}

// An agent that dies between an exchange and its record finds out at its next start what has happened, and tells it.
func TestAnExchangeThatNobodyNotedIsNotedLater(t *testing.T) {
	y := newYard(t)
	if err := y.start(never).Wait(); err != nil {
		t.Fatal(err)
	}
	all, err := y.runner.State.Displaced.All()
	if err != nil || len(all) != 1 {
		t.Fatalf("kept: %v, %v", all, err)
	}
	// As the record is before the exchange: of a job of the control plane, and not known to have been carried out.
	kept := all[0]
	kept.JobID, kept.ReplacedAt, kept.Until = kept.RestoreID, time.Time{}, time.Time{}
	if err := y.runner.State.Displaced.Save(kept); err != nil {
		t.Fatal(err)
	}
	abandon(t, y.runner.State, state.Record{
		ID: "job-" + kept.JobID, JobID: kept.JobID, Restore: &state.Restore{ID: kept.RestoreID, Target: "shop", Replace: true},
	})
	y.recover()
	told := entries(t, y.runner.State)
	if len(told) != 1 || told[0].Result == nil || told[0].Result.State != state.StateSucceeded || told[0].Result.Outcome == nil ||
		told[0].Result.Outcome.Kept != kept.OldName || told[0].Result.Outcome.Until.IsZero() {
		t.Errorf("told of the restore: %+v", told)
	}

	if err := y.runner.Engine.Undo(t.Context(), kept.Replacement); err != nil {
		t.Fatal(err)
	}
	y.runner.tendKept(t.Context())
	noted, err := y.runner.State.Displaced.Of(kept.RestoreID)
	if err != nil || noted == nil || noted.UndoneAt.IsZero() || noted.Name() != kept.NewName || noted.Until.IsZero() {
		t.Errorf("noted of the undo: %+v, %v", noted, err)
	}
	told = entries(t, y.runner.State)
	if at := slices.IndexFunc(told, func(e state.Entry) bool { return e.Result.Outcome.Kept == kept.NewName }); len(told) != 2 || at < 0 ||
		told[at].Result.JobID != kept.JobID || told[at].Result.Outcome.UndoneAt.IsZero() {
		t.Errorf("told of the undo: %+v", told)
	}
	y.server.DropDatabase(t, kept.NewName)
	y.runner.tendKept(t.Context())
	told = entries(t, y.runner.State)
	if !slices.ContainsFunc(told, func(e state.Entry) bool { return e.Result.Outcome.Kept == "" }) {
		t.Errorf("nobody was told that nothing is kept any more: %+v", told)
	}
}

// A record that is of another server is left alone.
func TestKeptOfAnotherServer(t *testing.T) {
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
	y.runner.tendKept(t.Context())
	if kept, _ := y.runner.State.Displaced.All(); len(kept) != 1 {
		t.Errorf("the record is gone: %v", kept)
	}
	if _, err := y.runner.Undo(t.Context(), "other", "shop"); err == nil {
		t.Error("it was undone here")
	}
}
