package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// The servers of an agent that is not root run as its own user, to whom all that it keeps belongs.
// The cage keeps them away from it; if the host allows them to run without one, nothing does.
func TestATestRestoreAsTheAgentsOwnUserReachesNothingOfIts(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.WithPassword("over-tcp"))
	server.Exec(t, "postgres", "CREATE DATABASE caged")
	h := newHost(t, "DATABASE_URL="+server.PasswordURL("caged"))
	h.unprivileged()
	ground, err := os.MkdirTemp("/tmp", "pgv") // a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(ground) })
	secret, mark := filepath.Join(ground, "passphrase"), filepath.Join(ground, "mark")
	if err := os.WriteFile(secret, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := errors.Join(os.Chown(ground, int(h.as.Uid), int(h.as.Gid)), os.Chown(secret, int(h.as.Uid), int(h.as.Gid))); err != nil {
			t.Fatal(err)
		}
	}
	h.environ = append(h.environ, "PGHARBOR_STATE_DIR="+filepath.Join(h.dir, "state"), "BACKUP_VERIFY_DIR="+filepath.Join(ground, "verify"),
		"BACKUP_ENCRYPT_PASSPHRASE_FILE="+secret)
	server.Exec(t, "caged", fmt.Sprintf(`CREATE FUNCTION public.harmless(int) RETURNS bool LANGUAGE plpgsql AS $x$ BEGIN
			IF session_user = 'postgres' THEN RETURN true; END IF;
			BEGIN COPY (SELECT pg_read_file('%s')) TO '%s'; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN true; END $x$;
		CREATE TABLE t (a int CHECK (public.harmless(a))); INSERT INTO t VALUES (1)`, secret, mark))
	code, stdout, stderr := h.run("backup", "--database", "caged")
	if code != exit.Done {
		t.Fatalf("backup exits %d:\n%s", code, stderr)
	}
	file := stdout[strings.LastIndex(stdout, "  ")+2 : len(stdout)-1]
	for _, caged := range []bool{true, false} {
		if !caged {
			h.environ = append(h.environ, "BACKUP_VERIFY_WITHOUT_CAGE=true")
		}
		if code, stdout, stderr := h.run("verify", file); code != exit.Done || !strings.Contains(stdout, "restores: 1 tables with 1 rows") {
			t.Fatalf("caged: %v: verify exits %d:\n%s%s", caged, code, stdout, stderr)
		}
		if _, err := os.Stat(mark); caged == (err == nil) {
			t.Errorf("caged: %v, and the passphrase was read: %v", caged, err == nil)
		}
		want := "OK      cage: test restores run in one: Landlock"
		if !caged {
			want = "OK      cage: test restores run without one, as BACKUP_VERIFY_WITHOUT_CAGE allows"
		}
		if _, stdout, _ := h.run("check"); !strings.Contains(stdout, want) || strings.Contains(stdout, "System V") {
			t.Errorf("check says:\n%s", stdout)
		}
	}
}

func TestAFileWithoutAManifestIsNotHeldAgainstOne(t *testing.T) {
	h := newHost(t)
	code, stdout, stderr := h.run("verify", bare(t, h, "bare"), "--unsigned")
	if code != exit.Done || !strings.Contains(stdout, "tables with 0 rows, as many as go by in it, by PostgreSQL") {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
}
