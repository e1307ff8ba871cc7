package job

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// What a killed process did, and when it was to be killed: PHASE kills it when the phase begins,
// "swapped" right after the exchange, "never" not at all.
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
	files, err := local.Open(filepath.Join(folder.Dir(), "none"))
	if err != nil {
		return err
	}
	clock, err := retention.OpenClockGuard(filepath.Join(folder.Dir(), "clock.json"))
	if err != nil {
		return err
	}
	r := New(Config{
		Engine: &backup.Engine{Instance: instance, Store: files, InstanceName: "shop-db", Now: time.Now},
		State:  folder, Log: slog.New(slog.DiscardHandler), Now: time.Now, Clock: clock, Plan: Plan{KeepOldDays: 7},
	})
	die := os.Getenv(dieVariable)
	request := backup.RestoreRequest{From: local.File(os.Getenv(fileVariable)), Target: "shop", Replace: true, OnProgress: func(p backup.Progress) {
		if p.Phase == die && p.DoneObjects == 0 || die == swapped && p.Phase == backup.PhaseSwap && p.DoneObjects == 1 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}}
	_, _, err = r.Restorer.RestoreFile(context.Background(), request, backup.Origin{Kind: backup.OriginUnknown}, ConsentTrust)
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
		c.Plan.KeepOldDays = 7
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

// recover is the next start of the agent, after which nothing may be half done: shop is the old one
// and nothing is left next to it, or it is the new one, and the old is kept and an undo brings it
// back.
func (y *yard) recover() string {
	y.Helper()
	y.runner = newRunner(y.T, func(c *Config) {
		c.State, c.Engine, c.Plan.KeepOldDays = openState(y.T, y.runner.State.Dir()), y.runner.Engine, 7
	})
	if err := y.runner.Recovery.Recover(y.Context()); err != nil {
		y.Fatal(err)
	}
	displaced, err := y.runner.State.Displaced.All()
	if err != nil {
		y.Fatal(err)
	}
	in, beside := y.inService(), y.beside()
	switch {
	case in == "old" && (len(displaced) != 0 || len(beside) != 0):
		y.Fatalf("the old one is in service, and beside it are %v, recorded %v", beside, displaced)
	case in == "new" && (len(displaced) != 1 || len(beside) != 1 || beside[0] != displaced[0].OldName || displaced[0].ReplacedAt.IsZero()):
		y.Fatalf("the new one is in service, and beside it are %v, recorded %v", beside, displaced)
	}
	return in
}

func (y *yard) beside() []string {
	return slices.DeleteFunc(y.server.Databases(y.T), func(name string) bool { return name == "shop" || name == "postgres" })
}

// putBack undoes what was replaced, and drops what that leaves.
func (y *yard) putBack() {
	y.Helper()
	displaced, err := y.runner.State.Displaced.All()
	if err != nil || len(displaced) != 1 {
		y.Fatalf("kept: %v, %v", displaced, err)
	}
	if _, err := y.runner.Displacements.Undo(y.Context(), displaced[0].RestoreID, "shop"); err != nil {
		y.Fatal(err)
	}
	if in := y.inService(); in != "old" {
		y.Fatalf("after the undo, the %s one is in service", in)
	}
	y.server.DropDatabase(y.T, displaced[0].NewName)
	y.runner.Displacements.maintain(y.Context())
	if displaced, _ := y.runner.State.Displaced.All(); len(displaced) != 0 {
		y.Fatalf("what is gone is still recorded: %v", displaced)
	}
}
