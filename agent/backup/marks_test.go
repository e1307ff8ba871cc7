package backup_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/signing"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// confinedRestore makes a database of a file that nobody knows, and returns the role that owns it then.
func confinedRestore(t *testing.T, config *backup.Config, id, target string) (role string) {
	t.Helper()
	server := postgrestest.Shared(t)
	stored, err := backup.New(*config).Repository.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	role = "pgharbor_restore_" + id
	t.Cleanup(func() {
		server.DropDatabase(t, target)
		server.Exec(t, "postgres", `DROP ROLE IF EXISTS "`+role+`"`)
	})
	err = backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{
		From: local.File(folderOf(config).Path(stored.Location)), Manifest: &stored.Manifest, Target: target, RestoreID: id,
		Sandboxed: true, Origin: backup.OriginAttested,
	})
	if err != nil {
		t.Fatal(err)
	}
	return role
}

// unprovenOf is what a backup of a database says of its content, and how it would be restored.
func unprovenOf(t *testing.T, config *backup.Config, database string) (backup.OriginKind, backup.Origin) {
	t.Helper()
	made := backUp(t, config, database)
	stored, err := backup.New(*config).Repository.Find(made.ID)
	if err != nil {
		t.Fatal(err)
	}
	origin, err := backup.New(*config).Repository.OriginOf(stored)
	if err != nil {
		t.Fatal(err)
	}
	if made.UnknownOrigin == nil {
		return "", origin
	}
	return made.UnknownOrigin.Origin, origin
}

// What was restored confined stays marked, whatever becomes of the database's name, its owner, its settings or the agent's
// state folder, and so do its backups: none of them is loaded with rights of its own again, until somebody on the host says
// that they know it.
func TestWhatWasRestoredConfinedStaysMarked(t *testing.T) {
	server := postgrestest.Shared(t)
	sample(t, "harbour")
	server.Exec(t, "postgres", "CREATE ROLE launderer")
	t.Cleanup(func() { server.Exec(t, "postgres", "DROP ROLE launderer") })
	config := signed(t, newConfig(t))
	t.Cleanup(func() { server.DropDatabase(t, "clean") })
	file := backUp(t, config, "harbour")
	role := confinedRestore(t, config, file.ID, "washed")

	wants := func(when string, config *backup.Config, database string, want backup.OriginKind) {
		t.Helper()
		kind, origin := unprovenOf(t, config, database)
		if kind != want || origin.Proven() != (want == "") || (want != "" && origin.Kind != backup.OriginRestored) {
			t.Errorf("%s: its backup says %q, and is %+v", when, kind, origin)
		}
	}
	wants("a database that never was restored", config, "harbour", "")
	wants("restored confined", config, "washed", backup.OriginAttested)
	lost := signed(t, newConfig(t))
	wants("with another state folder", lost, "washed", backup.OriginUnknown)

	if err := backup.New(*config).Marks.Unmark(t.Context(), "washed"); !errors.Is(err, backup.ErrOwnedBySandbox) {
		t.Errorf("it can be unmarked while the confined role owns it: %v", err)
	}
	server.Exec(t, "washed", `ALTER DATABASE washed RESET ALL`)
	wants("another state folder and its setting gone", lost, "washed", backup.OriginUnknown)
	server.Exec(t, "washed", `ALTER DATABASE washed SET pgharbor.origin = 'signed'`)
	wants("another state folder and its setting forged", lost, "washed", backup.OriginUnknown)

	server.Exec(t, "washed", `REASSIGN OWNED BY "`+role+`" TO launderer; DROP OWNED BY "`+role+`"; DROP ROLE "`+role+`"`)
	server.Exec(t, "postgres", "ALTER DATABASE washed RENAME TO clean")
	wants("given away, another state folder", lost, "clean", backup.OriginUnknown)
	server.Exec(t, "postgres", "ALTER DATABASE clean RESET ALL")
	wants("given away and renamed", config, "clean", backup.OriginAttested)

	if err := backup.New(*config).Marks.Unmark(t.Context(), "clean"); err != nil {
		t.Fatal(err)
	}
	wants("once somebody on the host said so", config, "clean", "")
}

// A backup of a marked database is marked too, and what is restored of it: the mark is not washed off by going round.
func TestTheMarkGoesRound(t *testing.T) {
	sample(t, "harbour")
	config := signed(t, newConfig(t))
	confinedRestore(t, config, backUp(t, config, "harbour").ID, "washed")
	confinedRestore(t, config, backUp(t, config, "washed").ID, "twice")
	if kind, origin := unprovenOf(t, config, "twice"); kind == "" || origin.Proven() {
		t.Errorf("its backup says %q, and is %+v", kind, origin)
	}
}

// A database that takes the place of a marked one is not marked by what it inherits from it.
func TestTheMarkIsOfTheOneDatabase(t *testing.T) {
	server := postgrestest.Shared(t)
	sample(t, "harbour")
	config := signed(t, newConfig(t))
	file := backUp(t, config, "harbour")
	stored, err := backup.New(*config).Repository.Find(file.ID)
	if err != nil {
		t.Fatal(err)
	}
	role := confinedRestore(t, config, file.ID, "washed")
	server.Exec(t, "washed", `REASSIGN OWNED BY "`+role+`" TO postgres`)
	t.Cleanup(func() { server.DropDatabase(t, "washed_before_second") })
	err = backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{
		From: local.File(folderOf(config).Path(stored.Location)), Manifest: &stored.Manifest, Target: "washed", Replace: true, RestoreID: "second",
	})
	if err != nil {
		t.Fatal(err)
	}
	if kind, _ := unprovenOf(t, config, "washed"); kind != "" {
		t.Errorf("it is marked as %q", kind)
	}
	if kind, _ := unprovenOf(t, config, "washed_before_second"); kind == "" {
		t.Error("the one before it is not marked any more")
	}
}

// A state folder that can't tell costs no backup, and marks it.
func TestMarksThatCannotBeRead(t *testing.T) {
	sample(t, "harbour")
	config, dir := newConfig(t), t.TempDir()
	config.Signer = signing.Open(dir)
	if err := backup.New(*config).Repository.BeginSigning(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "unproven-databases.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	made := backUp(t, config, "harbour")
	if made.UnknownOrigin == nil || len(made.Warnings) != 1 || !strings.Contains(made.Warnings[0], "unproven-databases.json") {
		t.Errorf("it says %+v, and warns of %q", made.UnknownOrigin, made.Warnings)
	}
}
