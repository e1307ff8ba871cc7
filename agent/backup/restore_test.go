package backup_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// untouched fails the test if a database is there that was to be restored, or a part of it.
func untouched(t *testing.T, target string) {
	t.Helper()
	for _, name := range postgrestest.Shared(t).Databases(t) {
		if name == target || strings.HasPrefix(name, "pgharbor_restore_") {
			t.Errorf("database %q was left", name)
		}
	}
}

// noPsql makes a config fail the test if a restore comes as far as a tool that writes to the server.
func noPsql(t *testing.T, config *backup.Config) (*backup.Config, string) {
	t.Helper()
	mark := filepath.Join(t.TempDir(), "started")
	guarded := newConfig(t, stub(t, "psql", "[ \"$1\" = --version ] || touch "+mark+"; exit 1"))
	guarded.Store, guarded.Keys.Passphrases = config.Store, config.Keys.Passphrases
	return guarded, mark
}

// What is wrong with a file is told before a byte of it reaches Postgres.
func TestDamageIsToldApart(t *testing.T) {
	sample(t, "harbour")
	change := func(at func(size int) int) func([]byte) []byte {
		return func(content []byte) []byte {
			content[at(len(content))] ^= 1
			return content
		}
	}
	same := func(content []byte) []byte { return content }
	right := seal.Passphrases{Current: "secret"}
	tests := []struct {
		name        string
		passphrases seal.Passphrases
		damage      func([]byte) []byte
		want        error
		failure     string
	}{
		{"no passphrase", seal.Passphrases{}, same, backup.ErrNoPassphrase, "passphrase"},
		{"a wrong passphrase", seal.Passphrases{Current: "wrong", Old: []string{"older"}}, same, backup.ErrWrongPassphrase, "passphrase"},
		{"a flipped bit in the magic", right, change(func(int) int { return 0 }), backup.ErrDamaged, "integrity"},
		{"a flipped bit in the salt", right, change(func(int) int { return 12 }), backup.ErrDamaged, "integrity"},
		{"a flipped bit in the first block", right, change(func(int) int { return 16 }), backup.ErrDamaged, "integrity"},
		{"a flipped bit in the middle", right, change(func(size int) int { return size / 2 }), backup.ErrDamaged, "integrity"},
		{"a flipped bit at the end", right, change(func(size int) int { return size - 1 }), backup.ErrDamaged, "integrity"},
		{"a flipped bit and a wrong passphrase", seal.Passphrases{Current: "wrong"}, change(func(size int) int { return size / 2 }), backup.ErrDamaged, "integrity"},
		{"cut by a byte", right, func(c []byte) []byte { return c[:len(c)-1] }, backup.ErrDamaged, "integrity"},
		{"cut by a block", right, func(c []byte) []byte { return c[:len(c)-16] }, backup.ErrDamaged, "integrity"},
		{"cut to nothing", right, func([]byte) []byte { return nil }, backup.ErrDamaged, "integrity"},
		{"longer", right, func(c []byte) []byte { return append(c, 0) }, backup.ErrDamaged, "integrity"},
	}
	for _, compression := range []string{backup.CompressionNone, backup.CompressionZstd} {
		config := newConfig(t)
		config.Compression, config.Keys.Passphrases = compression, right
		manifest := backUp(t, config, "harbour")
		path := filepath.Join(folderOf(config).Dir(), "harbour", manifest.Filename)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range tests {
			t.Run(compression+" "+test.name, func(t *testing.T) {
				if err := os.WriteFile(path, test.damage(append([]byte(nil), content...)), 0o600); err != nil {
					t.Fatal(err)
				}
				config.Keys.Passphrases = test.passphrases
				guarded, mark := noPsql(t, config)
				err := restore(t.Context(), t, guarded, manifest.ID, "harbour2")
				if !errors.Is(err, test.want) || backup.Failure(err) != test.failure || strings.Contains(err.Error(), "\n") {
					t.Errorf("error = %v (%s), want %v in one line", err, backup.Failure(err), test.want)
				}
				if _, err := os.Stat(mark); err == nil {
					t.Error("psql was started")
				}
				untouched(t, "harbour2")
			})
		}
	}
}

func TestRestoreWithAnOldPassphrase(t *testing.T) {
	sample(t, "harbour", "harbour2")
	config := newConfig(t)
	config.Keys.Passphrases.Current = "before"
	manifest := backUp(t, config, "harbour")
	config.Keys.Passphrases = seal.Passphrases{Current: "after", Old: []string{"between", "before"}}
	if err := restore(t.Context(), t, config, manifest.ID, "harbour2"); err != nil {
		t.Error(err)
	}
}

func TestRestoreRefusals(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	manifest := backUp(t, config, "harbour")
	for target, want := range map[string]error{"template1": backup.ErrTemplate, "pgharbor_restore_x": backup.ErrReserved} { // a control plane may ask for any
		if err := restore(t.Context(), t, config, manifest.ID, target); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", target, err, want)
		}
	}
	if err := restore(t.Context(), t, config, manifest.ID, "harbour"); !errors.Is(err, backup.ErrTargetExists) {
		t.Errorf("a target that exists: %v", err)
	}
	if err := restore(t.Context(), t, config, manifest.ID, strings.Repeat("x", 64)); err == nil {
		t.Error("a name that PostgreSQL would cut off is taken")
	}
	err := backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{From: local.File("/not/there"), Target: "harbour2", RestoreID: "r"})
	if backup.Failure(err) != backup.FailureNotFound {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{From: local.File(t.TempDir()), Target: "harbour2", RestoreID: "r"}); err == nil {
		t.Error("a folder is taken for a file")
	}
	untouched(t, "harbour2")
}

// Whatever strikes in the middle of a restore, the target never appears and nothing half-restored stays.
func TestRestoreStruckHalfWay(t *testing.T) {
	server := sample(t, "harbour", "harbour2")
	interrupted := errors.New("the agent stops")
	tests := []struct {
		name, phase string
		strike      func(path string, stop func(error))
		want        string
	}{
		{"cancelled while it verifies", backup.PhaseVerify, func(_ string, stop func(error)) { stop(interrupted) }, interrupted.Error()},
		{"cancelled while it restores", backup.PhaseRestore, func(_ string, stop func(error)) { stop(interrupted) }, interrupted.Error()},
		{"cancelled while it analyses", backup.PhaseAnalyze, func(_ string, stop func(error)) { stop(interrupted) }, interrupted.Error()},
		{"the file changes after it was verified", backup.PhaseRestore, func(path string, _ func(error)) {
			if err := os.WriteFile(path, []byte("CREATE TABLE evil ();\n"), 0o600); err != nil {
				t.Error(err)
			}
		}, backup.ErrDamaged.Error()},
		{"the target appears meanwhile", backup.PhaseAnalyze, func(string, func(error)) { server.Exec(t, "postgres", "CREATE DATABASE harbour2") }, backup.ErrTargetExists.Error()},
		{"sessions of the server end", backup.PhaseRestore, func(string, func(error)) {
			server.Exec(t, "postgres", "ALTER DATABASE "+temporaries(t)[0]+" ALLOW_CONNECTIONS false")
		}, "object_not_in_prerequisite_state (SQLSTATE 55000)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := newConfig(t)
			manifest := backUp(t, config, "harbour")
			path := filepath.Join(folderOf(config).Dir(), "harbour", manifest.Filename)
			ctx, stop := context.WithCancelCause(t.Context())
			var once sync.Once
			err := backup.New(*config).Restorer.Restore(ctx, backup.RestoreRequest{
				From: local.File(path), Manifest: &manifest, Target: "harbour2", RestoreID: "struck",
				OnProgress: func(p backup.Progress) {
					if p.Phase == test.phase {
						once.Do(func() { test.strike(path, stop) })
					}
				},
			})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want one that says %q", err, test.want)
			}
			if errors.Is(err, backup.ErrTargetExists) {
				server.DropDatabase(t, "harbour2") // the other's, which stayed
			}
			untouched(t, "harbour2")
		})
	}
}

// A session that somebody opens in the temporary database does not stand in the way of the last step.
func TestRestoreWithAForeignSession(t *testing.T) {
	server := sample(t, "harbour", "harbour2")
	config := newConfig(t)
	manifest := backUp(t, config, "harbour")
	stored, err := backup.New(*config).Repository.Find(manifest.ID)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var foreign *exec.Cmd
	err = backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{
		From: local.File(folderOf(config).Path(stored.Location)), Manifest: &manifest, Target: "harbour2", RestoreID: "foreign",
		OnProgress: func(p backup.Progress) {
			if p.Phase == backup.PhaseAnalyze {
				foreign = exec.CommandContext(ctx, server.Bin+"/psql", "-XAtc", "SELECT 'here'", "-c", "SELECT pg_sleep(1000)", server.URL(temporaries(t)[0]))
				output, err := foreign.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := foreign.Start(); err != nil {
					t.Fatal(err)
				}
				if _, err := output.Read(make([]byte, 10)); err != nil {
					t.Fatal(err)
				}
			}
		},
	})
	if err != nil {
		t.Error(err)
	}
	cancel()
	_ = foreign.Wait()
}

// A dump that fails while it is loaded, or does harm first, leaves nothing, guarded or not.
func TestBadSQLLeavesNothing(t *testing.T) {
	const end = "--\n-- PostgreSQL database dump complete\n--\n\n"
	tests := []struct{ name, sql, want string }{
		{"an error at the end", "CREATE TABLE public.t (n int);\nCREATE INDEX i ON public.t USING btree ((1/0));\n" + end, "division_by_zero (SQLSTATE 22012)"},
		{"a role that is missing", "CREATE TABLE t (n int);\nALTER TABLE t OWNER TO nobody_here;\n" + end, "nobody_here"},
		{"a program to run", "CREATE TABLE t (n int);\n\\! touch ran\n" + end, backup.ErrForeign.Error()},
		{"a program behind a command of pg_dump", "\\restrict a\nCREATE TABLE t (n int);\n" + end + "\\unrestrict a \\! touch ran\n", backup.ErrIncomplete.Error()},
		{"another database", "CREATE TABLE t (n int);\n\\connect postgres\n" + end, backup.ErrForeign.Error()},
		{"no end", "CREATE TABLE t (n int);\n", backup.ErrIncomplete.Error()},
		{"an end in a string", "SELECT '\n" + end + "';\nCREATE TABLE t (n int);\n", backup.ErrIncomplete.Error()},
		{"no dump at all", "\x7fELF\x02\x01\x01\x00\x00", backup.ErrDamaged.Error()},
		{"nothing", "", backup.ErrIncomplete.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "backup.sql")
			if err := os.WriteFile(path, []byte(test.sql), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, trusted := range []bool{false, true} {
				err := backup.New(*newConfig(t)).Restorer.Restore(t.Context(), backup.RestoreRequest{From: local.File(path), Target: "harbour2", RestoreID: "bad", TrustContent: trusted})
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("trusted %v: error = %v, want one that says %q", trusted, err, test.want)
				}
				untouched(t, "harbour2")
			}
		})
	}
}
