package job

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// aRow is what a server quotes in its words, and no report may have.
const aRow = "4111-1111-1111-1111"

// refusedDatabase makes a database that can be dumped, and whose dump a function of its own refuses, with a row.
func refusedDatabase(t *testing.T, name string) {
	t.Helper()
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, name)
	server.Exec(t, name, fmt.Sprintf(`CREATE FUNCTION public.fits(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
		CREATE TABLE public.cards (number text CONSTRAINT valid CHECK (public.fits(number)));
		INSERT INTO public.cards VALUES ('%s');
		CREATE OR REPLACE FUNCTION public.fits(text) RETURNS bool LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION 'the card %% is none', $1 USING ERRCODE = 'check_violation', TABLE = 'cards'; END $$`, aRow))
}

// toolThat makes a runner's tools be found in a folder in which one of them is a script.
func toolThat(t *testing.T, name, script string) func(*Config) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	settings, err := postgres.SettingsFrom(append(postgrestest.Shared(t).Environ(), "PATH="+dir+":"+os.Getenv("PATH")))
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { instance.Close() })
	return func(c *Config) { c.Engine.Instance = instance }
}

// leaves fails the test if a row is in anything that a control plane is told, and if the history
// has it not: then the search would have nothing to find.
func leaves(t *testing.T, r *Runner, id, want string) {
	t.Helper()
	told, err := json.Marshal([]any{entries(t, r.State), r.Status.Last(), r.Inventory.Current()})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(told), aRow) {
		t.Errorf("a row is in what leaves the host: %s", told)
	}
	if !strings.Contains(string(told), want) {
		t.Errorf("what is told does not say %q: %s", want, told)
	}
	all, err := r.State.History.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Is(id) && strings.Contains(e.Words, aRow) {
			return
		}
	}
	t.Errorf("the history does not have the words of %s: %+v", id, all)
}

func TestRowsInTheWordsOfARestoreStayOnTheHost(t *testing.T) {
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		t.Run(format, func(t *testing.T) {
			refusedDatabase(t, "cards")
			r := newRunner(t, func(c *Config) { c.Engine.Format, c.Plan.Verify.Dir = format, testRestoreServer(t) })
			outcome := r.Runs.BackUp(t.Context(), Request{Databases: []string{"cards"}, Trigger: state.TriggerManual})[0]
			if outcome.Err != nil {
				t.Fatal(outcome.Err)
			}
			id := outcome.Manifest.ID
			if result := accept(t, r, Job{ID: "restore1", Spec: RestoreSpec{BackupID: id, Target: "again"}}); result.State != state.StateFailed {
				t.Errorf("the restore: %+v", result)
			}
			leaves(t, r, "restore1", "check_violation (SQLSTATE 23514)")
			if result := accept(t, r, Job{ID: "verify1", Spec: VerifySpec{BackupID: id}}); result.State != state.StateFailed {
				t.Errorf("the test restore: %+v", result)
			}
			leaves(t, r, "verify1", "check_violation (SQLSTATE 23514)")
			r.Verifier.verifyNewest(t.Context()) // as a schedule does, with nobody to tell
			leaves(t, r, id, "check_violation (SQLSTATE 23514)")
			// By hand, without a job.
			stored, err := r.Engine.Find(id)
			if err != nil {
				t.Fatal(err)
			}
			request := backup.RestoreRequest{From: local.File(folderOf(r.Engine).Path(stored.Location)), Manifest: &stored.Manifest, Target: "again"}
			restore, _, err := r.Restorer.RestoreFile(t.Context(), request, backup.Origin{}, ConsentTrust)
			if err == nil || !strings.Contains(postgres.Words(err), aRow) {
				t.Errorf("by hand: %v, in full %q", err, postgres.Words(err))
			}
			leaves(t, r, restore, "check_violation (SQLSTATE 23514)")
		})
	}
}

func TestRowsInTheWordsOfADumpStayOnTheHost(t *testing.T) {
	postgrestest.Shared(t).CreateDatabase(t, "cards")
	fails := `[ "$1" = --version ] && exit
echo 'pg_dump: error: Dumping the contents of table "cards" failed: PQgetResult() failed.' >&2
echo 'pg_dump: detail: Error message from server: ERROR:  could not read block 3 in file "base/5/16384": card ` + aRow + `' >&2
echo 'CONTEXT:  card ` + aRow + `' >&2
exit 1`
	r := newRunner(t, toolThat(t, "pg_dump", fails))
	result := accept(t, r, Job{ID: "backup1", Spec: BackupSpec{Database: "cards"}})
	if want := "pg_dump: exit status 1, at table cards: io_error (SQLSTATE 58030)"; result.Error != want {
		t.Errorf("error %q, want %q", result.Error, want)
	}
	leaves(t, r, "backup1", "io_error")

	warns := `real=$(PATH=${PATH#*:} command -v pg_dump || echo /usr/lib/postgresql/*/bin/pg_dump)
[ "$1" = --version ] || echo 'WARNING:  card ` + aRow + `' >&2
exec $real "$@"`
	r = newRunner(t, toolThat(t, "pg_dump", warns))
	outcome := r.Runs.BackUp(t.Context(), Request{Databases: []string{"cards"}, Trigger: state.TriggerManual})[0]
	if outcome.Err != nil || len(outcome.Manifest.Warnings) != 1 {
		t.Fatalf("%+v", outcome)
	}
	leaves(t, r, outcome.Run.ID, "stay on the host")
	manifest, err := os.ReadFile(folderOf(r.Engine).Path(r.Inventory.Current().Backups[0].Location) + ".manifest.json")
	if err != nil || strings.Contains(string(manifest), aRow) {
		t.Errorf("the manifest, which goes with a download: %v\n%s", err, manifest)
	}
}
