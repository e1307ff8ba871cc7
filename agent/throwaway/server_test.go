package throwaway

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

func startServer(t *testing.T) *Server {
	t.Helper()
	settings, err := postgres.SettingsFrom([]string{"PATH=" + os.Getenv("PATH")})
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ground, err := os.MkdirTemp("/tmp", "pgv")
	if err := errors.Join(err, os.Chmod(ground, 0o711)); err != nil {
		t.Fatal(err)
	}
	server, err := Start(t.Context(), instance, Request{Dir: filepath.Join(ground, Prefix+"1")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), os.Remove(ground), instance.Close()); err != nil {
			t.Error(err)
		}
	})
	return server
}

// What the server answers is bounded, and what it may have put in the place of its folders leads the agent nowhere.
func TestServerIsNotTrusted(t *testing.T) {
	server := startServer(t)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", server.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(string(status), line) {
			t.Errorf("the server runs without %q:\n%s", line, status)
		}
	}
	if os.Getuid() == 0 && !strings.Contains(string(status), fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", server.user.UID)) {
		t.Errorf("the server is not another user:\n%s", status)
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/ipc", server.cmd.Process.Pid))
	ours, ownErr := os.Readlink("/proc/self/ns/ipc")
	if errors.Join(err, ownErr) != nil || theirs == ours {
		t.Errorf("the server shares memory with others: %s, %v", theirs, errors.Join(err, ownErr))
	}
	for sql, want := range map[string]string{
		"SELECT repeat('x', 20000000)":                                             "",
		"SELECT repeat('x', 1000000) FROM generate_series(1, 300)":                 postgres.ErrAnswers.Error(),
		"SELECT repeat('x', 1000) FROM generate_series(1, 400000), (VALUES (1)) v": postgres.ErrAnswers.Error(),
	} {
		if _, err := server.Query(t.Context(), sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if err := server.AddTablespace(t.Context(), "good"); err != nil {
		t.Error(err)
	}
	elsewhere := t.TempDir()
	spaces := filepath.Join(server.dir, spaceFolder)
	if err := errors.Join(os.Rename(spaces, spaces+"2"), os.Symlink(elsewhere, spaces)); err != nil {
		t.Fatal(err)
	}
	if err := server.AddTablespace(t.Context(), "bad"); err == nil {
		t.Error("a tablespace is made wherever a link leads")
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("left elsewhere: %v, %v", left, err)
	}
}

// A role of the backup has what it could do, and neither its password nor its login.
func TestRolesAreAsTheyWere(t *testing.T) {
	server := startServer(t)
	globals := "CREATE ROLE chief;\nALTER ROLE chief WITH SUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN REPLICATION BYPASSRLS PASSWORD 'SCRAM-SHA-256$4096:x$y:z' VALID UNTIL 'infinity';\n" +
		"CREATE ROLE \"a \"\"clerk\"\" SUPERUSER\";\nALTER ROLE \"a \"\"clerk\"\" SUPERUSER\" WITH NOSUPERUSER NOINHERIT CREATEROLE CREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 3;\n" +
		"ALTER ROLE chief SET search_path TO 'x';\nALTER ROLE pgharbor_throwaway WITH NOSUPERUSER;\nGRANT chief TO \"a \"\"clerk\"\" SUPERUSER\" GRANTED BY postgres;\n"
	for range 2 { // the second time, all are there
		if err := server.MakeRolesAlike(t.Context(), []byte(globals)); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.AddRoles(t.Context(), []string{"unknown", "chief"}); err != nil {
		t.Fatal(err)
	}
	got, err := server.Query(t.Context(), `SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin,
		rolpassword IS NULL, NOT EXISTS (SELECT FROM pg_db_role_setting WHERE setrole = a.oid), (SELECT string_agg(roleid::regrole::text, ',') FROM pg_auth_members WHERE member = a.oid)
		FROM pg_authid a WHERE rolname NOT LIKE 'pg\_%' ORDER BY 1`)
	want := [][]string{
		{`a "clerk" SUPERUSER`, "f", "f", "t", "t", "f", "f", "f", "t", "t", "chief"},
		{"chief", "t", "t", "f", "f", "t", "t", "f", "t", "t", ""},
		{"pgharbor_throwaway", "t", "t", "t", "t", "t", "t", "t", "t", "t", ""},
		{"unknown", "t", "t", "f", "f", "f", "f", "f", "t", "t", ""},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}
