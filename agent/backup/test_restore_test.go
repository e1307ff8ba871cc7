package backup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/store/local"
	"github.com/pgharbor/pgharbor/agent/throwaway"
)

// provingGround is a folder that a server of another user can reach, and that has a short path. Nothing may be left in it.
func provingGround(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pgv")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("left in the folder: %v, %v", left, err)
		}
		if pids := processesIn(t, dir); len(pids) > 0 {
			t.Errorf("left running: %v", pids)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func processesIn(t *testing.T, dir string) (pids []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir) {
			pids = append(pids, link)
		}
	}
	return pids
}

// prove tests the restore of a backup, whose manifest the change may falsify.
func prove(t *testing.T, config *backup.Config, id string, change func(*backup.TestRestoreRequest)) (backup.TestRestore, error) {
	t.Helper()
	config.Now = time.Now
	stored, err := backup.New(*config).Repository.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	request := backup.TestRestoreRequest{From: local.File(folderOf(config).Path(stored.Location)), Manifest: &stored.Manifest, ID: "proof1", Dir: provingGround(t)}
	if change != nil {
		change(&request)
	}
	return backup.New(*config).TestRestorer.Run(t.Context(), request)
}

func proveFile(t *testing.T, config *backup.Config, content string, confined bool) (backup.TestRestore, error) {
	t.Helper()
	config.Now = time.Now
	path := filepath.Join(t.TempDir(), "backup.sql")
	if err := os.WriteFile(path, []byte(content+"\n--\n-- PostgreSQL database dump complete\n--\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return backup.New(*config).TestRestorer.Run(t.Context(), backup.TestRestoreRequest{From: local.File(path), ID: "proof1", Dir: provingGround(t), Sandboxed: confined})
}

func TestProveRestoresAndCounts(t *testing.T) {
	server := sample(t, "proven")
	server.Exec(t, "proven", `CREATE TABLE parts (n int) PARTITION BY RANGE (n);
		CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (50); CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (50) TO (100);
		INSERT INTO parts SELECT generate_series(0, 99);
		CREATE TABLE parent (n int); CREATE TABLE child (m int) INHERITS (parent); INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 3), (4, 5);
		CREATE TABLE "odd ""name""" (n int); CREATE UNLOGGED TABLE quick AS SELECT 1 AS n; CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES;
		CREATE MATERIALIZED VIEW seen AS SELECT * FROM parts; CREATE EXTENSION citext`)
	before := server.Databases(t)
	for name, change := range map[string]func(*backup.Config){
		"plain": func(*backup.Config) {},
		"custom, zstd, sealed": func(e *backup.Config) {
			e.Format, e.Compression, e.Keys.Passphrases = "custom", "zstd", seal.Passphrases{Current: "secret"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := newConfig(t)
			change(config)
			manifest := backUp(t, config, "proven")
			var phases []string
			proof, err := prove(t, config, manifest.ID, func(r *backup.TestRestoreRequest) {
				r.OnProgress = func(p backup.Progress) {
					if !slices.Contains(phases, p.Phase) {
						phases = append(phases, p.Phase)
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			var rows int64
			for _, table := range manifest.Tables {
				rows += table.Rows
			}
			if proof.State != backup.TestRestoreSucceeded || proof.Method != backup.TestRestoreThrowaway || proof.Tables != len(manifest.Tables) || proof.Rows != rows || rows < 100 {
				t.Errorf("%+v, of %d tables with %d rows", proof, len(manifest.Tables), rows)
			}
			if major := strings.Split(manifest.ServerVersion, ".")[0]; !strings.HasPrefix(proof.ServerVersion, major+".") {
				t.Errorf("proven by a server %s, and made by %s", proof.ServerVersion, manifest.ServerVersion)
			}
			if proof.RestoreTook <= 0 || proof.Took <= proof.RestoreTook || proof.FinishedAt.IsZero() || proof.FinishedAt.Location() != time.UTC {
				t.Errorf("times: %+v", proof)
			}
			if diff := cmp.Diff([]string{backup.PhaseVerify, backup.PhaseRestore, backup.PhaseCompare}, phases); diff != "" {
				t.Errorf("phases: %s", diff)
			}
		})
	}
	if diff := cmp.Diff(before, server.Databases(t)); diff != "" {
		t.Errorf("the instance was touched: %s", diff)
	}
}

func TestProveTellsWhatDiffers(t *testing.T) {
	sample(t, "differs").Exec(t, "differs", "CREATE TABLE a AS SELECT generate_series(1, 3); CREATE TABLE b AS SELECT 1; CREATE TABLE c AS SELECT 1")
	config := newConfig(t)
	id := backUp(t, config, "differs").ID
	proof, err := prove(t, config, id, func(r *backup.TestRestoreRequest) {
		for n, table := range r.Manifest.Tables {
			switch table.Name {
			case "a":
				r.Manifest.Tables[n].Rows = 4
			case "b":
				r.Manifest.Tables[n].Name = "B"
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"table public.a has 3 rows, and 4 went by in the dump", "table public.B did not come back; it had 1 rows",
		"table public.b, of 1 rows, is not in the manifest",
	}
	if proof.State != backup.TestRestoreFailed {
		t.Errorf("the proof %s", proof.State)
	}
	if diff := cmp.Diff(want, proof.Differences); diff != "" {
		t.Error(diff)
	}
}

func TestProveTellsTheBackupsFaultFromAnyOther(t *testing.T) {
	sample(t, "fault")
	config := newConfig(t)
	config.Keys.Passphrases.Current = "secret"
	manifest := backUp(t, config, "fault")
	stored, err := backup.New(*config).Repository.Find(manifest.ID)
	if err != nil {
		t.Fatal(err)
	}
	path := folderOf(config).Path(stored.Location)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(good)
	flipped[len(flipped)/2] ^= 1

	if err := os.WriteFile(path, flipped, 0o600); err != nil {
		t.Fatal(err)
	}
	if proof, err := prove(t, config, manifest.ID, nil); err != nil || proof.State != backup.TestRestoreFailed || !strings.Contains(proof.Differences[0], "damaged") {
		t.Errorf("a flipped bit: %+v, %v", proof, err)
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*backup.Config, *backup.TestRestoreRequest)
		want   error
	}{
		"the wrong passphrase": {func(e *backup.Config, _ *backup.TestRestoreRequest) {
			e.Keys.Passphrases = seal.Passphrases{Current: "other"}
		}, backup.ErrWrongPassphrase},
		"no room":         {func(_ *backup.Config, r *backup.TestRestoreRequest) { r.Manifest.PlainSizeBytes = 1 << 60 }, backup.ErrNoRoom},
		"no server":       {func(_ *backup.Config, r *backup.TestRestoreRequest) { r.Bin = t.TempDir() }, postgres.ErrNoBinaries},
		"no newer server": {func(_ *backup.Config, r *backup.TestRestoreRequest) { r.Manifest.ServerVersion = "99.1" }, postgres.ErrNoBinaries},
		"no file":         {func(_ *backup.Config, r *backup.TestRestoreRequest) { r.From = local.File("/nonexistent/x.gone") }, backup.ErrNotFound},
	} {
		other := *config
		proof, err := prove(t, &other, manifest.ID, func(r *backup.TestRestoreRequest) { test.change(&other, r) })
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, proof, err)
		}
	}
	// It was good all the time.
	if proof, err := prove(t, config, manifest.ID, nil); err != nil || proof.State != backup.TestRestoreSucceeded {
		t.Errorf("%+v, %v", proof, err)
	}
}

func TestProveInTheInstanceWhereThereIsNoServer(t *testing.T) {
	server := sample(t, "inside")
	config := newConfig(t)
	id := backUp(t, config, "inside").ID
	before := server.Databases(t)
	proof, err := prove(t, config, id, func(r *backup.TestRestoreRequest) { r.Bin, r.InInstance = t.TempDir(), true })
	if err != nil || proof.State != backup.TestRestoreSucceeded || proof.Method != backup.TestRestoreInstance || proof.Rows == 0 {
		t.Errorf("%+v, %v", proof, err)
	}
	if diff := cmp.Diff(before, server.Databases(t)); diff != "" {
		t.Errorf("databases: %s", diff)
	}
}

// A dump of one database names roles and tablespaces of the instance, and these are nowhere by now.
func TestProveMakesWhatTheDumpNames(t *testing.T) {
	proof, err := proveFile(t, newConfig(t), `CREATE SOMETHING;`, false)
	if err != nil || proof.State != backup.TestRestoreFailed || !strings.Contains(proof.Differences[0], "syntax_error (SQLSTATE 42601)") {
		t.Errorf("what is no SQL: %+v, %v", proof, err)
	}
	proof, err = proveFile(t, newConfig(t), `
		SET default_tablespace = 'a "fast" disk';
		CREATE TABLE public.t (n int);
		ALTER TABLE public.t OWNER TO "the ""ghost""";
		SET default_tablespace = '';
		CREATE TABLE public.u (n int);
		ALTER TABLE public.u OWNER TO postgres;
		GRANT SELECT ON public.u TO another_ghost;
		ALTER SCHEMA public OWNER TO postgres;
		COPY public.t (n) FROM stdin;
\.
		COPY public.u (n) FROM stdin;
1
2
\.`, false)
	if err != nil || proof.State != backup.TestRestoreSucceeded || proof.Rows != 2 || proof.Tables != 2 {
		t.Errorf("%+v, %v", proof, err)
	}
}

// Whoever wrote it, it has a server of its own to be tried out on, and there not the rights to leave it.
func TestProveOfAHostileFileLeavesNoMark(t *testing.T) {
	for name, script := range map[string]string{
		"a program":  "COPY (SELECT 1) TO PROGRAM 'touch %s';",
		"a file":     "COPY (SELECT 1) TO '%s';",
		"psql":       "\\! touch %s",
		"escalation": "SET ROLE pgharbor_throwaway; COPY (SELECT 1) TO PROGRAM 'touch %s';",
	} {
		marks, err := os.MkdirTemp("/tmp", "pgm")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(marks) })
		if err := os.Chmod(marks, 0o777); err != nil {
			t.Fatal(err)
		}
		proof, err := proveFile(t, newConfig(t), fmt.Sprintf(script, filepath.Join(marks, "mark")), true)
		if proof.State == backup.TestRestoreSucceeded {
			t.Errorf("%s: it is a proof: %+v, %v", name, proof, err)
		}
		if left, err := os.ReadDir(marks); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
	}
}

func TestProveThatIsBrokenOffLeavesNothing(t *testing.T) {
	sample(t, "broken_off")
	config := newConfig(t)
	id := backUp(t, config, "broken_off").ID
	for _, phase := range []string{backup.PhaseVerify, backup.PhaseRestore, backup.PhaseCompare} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		config.Now = time.Now
		stored, err := backup.New(*config).Repository.Find(id)
		if err != nil {
			t.Fatal(err)
		}
		_, err = backup.New(*config).TestRestorer.Run(ctx, backup.TestRestoreRequest{
			From: local.File(folderOf(config).Path(stored.Location)), Manifest: &stored.Manifest, ID: "proof1", Dir: provingGround(t),
			OnProgress: func(p backup.Progress) {
				if p.Phase == phase {
					cancel()
				}
			},
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("broken off in %s: %v", phase, err)
		}
	}
}

func TestAServerWhoseOwnerIsGoneIsRemoved(t *testing.T) {
	postgrestest.Shared(t)
	config, ground := newConfig(t), provingGround(t)
	request := throwaway.Request{Dir: filepath.Join(ground, throwaway.Prefix+"1")}
	if _, err := throwaway.Start(t.Context(), config.Instance, request); err != nil {
		t.Fatal(err)
	}
	if len(processesIn(t, ground)) == 0 {
		t.Fatal("there is no server")
	}
	if err := throwaway.Remove(ground); err == nil {
		t.Error("any folder may be removed")
	}
	for range 2 { // the second time there is none
		if err := throwaway.Remove(request.Dir); err != nil {
			t.Fatal(err)
		}
	}
}
