package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

func TestMain(m *testing.M) {
	if os.Getenv(killedAgent) != "" {
		dumpUntilKilled()
	}
	postgrestest.Main(m)
}

// oddNames are names that PostgreSQL allows and that tools, shells and file systems take for something else.
var oddNames = []string{
	"two words", `quote"s'and\back`, "new\nline", "ünï日本", "-dash", "--help", "../x", "a=b", "postgres://x", "host=nowhere dbname=x", "$(id)`id`", "%s", "template",
}

func open(t *testing.T, environ ...string) *postgres.Instance {
	t.Helper()
	settings, err := postgres.SettingsFrom(environ)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := instance.Close(); err != nil {
			t.Error(err)
		}
	})
	return instance
}

// stub puts a shell script in the place of a tool and returns the PATH that leads to it.
func stub(t *testing.T, name, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return "PATH=" + dir + ":" + os.Getenv("PATH")
}

func TestServerAndTools(t *testing.T) {
	instance := open(t, postgrestest.Shared(t).Environ()...)
	server, err := instance.Server(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if server.Number < 100000 || !server.Superuser || server.CurrentUser != postgrestest.Superuser || server.Version == "" {
		t.Errorf("server = %+v", server)
	}
	tools, err := instance.ToolVersions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range tools {
		names = append(names, tool.Name)
		if tool.Number/10000 < server.Number/10000 || tool.Version == "" {
			t.Errorf("tool = %+v, server %d", tool, server.Number)
		}
	}
	if !slices.Equal(names, []string{"pg_dump", "pg_restore", "psql"}) {
		t.Errorf("tools = %v", names)
	}
}

func TestOddNames(t *testing.T) {
	server := postgrestest.Shared(t)
	instance := open(t, server.Environ()...)
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		for _, name := range oddNames {
			t.Run(format+" "+name, func(t *testing.T) {
				server.CreateDatabase(t, name)
				server.Exec(t, name, "CREATE TABLE t (v text); INSERT INTO t VALUES ('"+format+"')")
				dump := dumpAll(t, instance, name, format)
				target := name + "2"
				t.Cleanup(func() { server.DropDatabase(t, target) })
				if err := instance.CreateDatabase(t.Context(), target, postgres.Database{}); err != nil {
					t.Fatal(err)
				}
				if err := instance.Load(t.Context(), target, format, strings.NewReader(dump)); err != nil {
					t.Fatal(err)
				}
				if err := instance.Analyze(t.Context(), target, 2); err != nil {
					t.Fatal(err)
				}
				if got := server.Value(t, target, "SELECT v FROM t"); got != format {
					t.Errorf("restored %q, want %q", got, format)
				}
				databases, err := instance.Databases(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(databases, func(d postgres.Database) bool { return d.Name == name && d.SizeBytes > 0 }) {
					t.Errorf("%q is not among %v", name, databases)
				}
			})
		}
	}
}

func dumpAll(t *testing.T, instance *postgres.Instance, database, format string) string {
	t.Helper()
	dump, err := instance.Dump(t.Context(), database, format)
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Close()
	content, err := io.ReadAll(dump)
	if err != nil {
		t.Fatal(err)
	}
	if warnings := dump.Warnings(); len(warnings) > 0 {
		t.Errorf("warnings: %q", warnings)
	}
	return string(content)
}

// Names of a database that was made with another encoding than UTF-8 are bytes, and stay them.
func TestNameThatIsNoUTF8(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.WithInitdb("--encoding=SQL_ASCII", "--locale=C"))
	instance := open(t, server.Environ()...)
	name := "caf\xe9"
	if err := instance.CreateDatabase(t.Context(), name, postgres.Database{}); err != nil {
		t.Fatal(err)
	}
	database, err := instance.Database(t.Context(), name)
	if err != nil || database.Name != name || database.Encoding != "SQL_ASCII" {
		t.Fatalf("database = %+v, %v", database, err)
	}
	if dump := dumpAll(t, instance, name, postgres.FormatPlain); !strings.Contains(dump, "dump complete") {
		t.Error("the dump is not complete")
	}
}

func TestDatabaseLifecycle(t *testing.T) {
	server := postgrestest.Shared(t)
	instance := open(t, server.Environ()...)
	ctx := t.Context()
	like := postgres.Database{Encoding: "SQL_ASCII", Collate: "C", CType: "C", LocaleProvider: "libc"}
	if err := instance.CreateDatabase(ctx, "life", like); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.DropDatabase(t, "life2") })
	got, err := instance.Database(ctx, "life")
	if err != nil || got.Encoding != "SQL_ASCII" || got.Collate != "C" || got.CType != "C" {
		t.Errorf("database = %+v, %v", got, err)
	}
	if err := instance.CreateDatabase(ctx, "life", like); !errors.Is(err, postgres.ErrDatabaseExists) {
		t.Errorf("creating it again: %v", err)
	}
	if err := instance.RenameDatabase(ctx, "life", "postgres"); !errors.Is(err, postgres.ErrDatabaseExists) {
		t.Errorf("renaming it to a name that is taken: %v", err)
	}
	if err := instance.RenameDatabase(ctx, "life", "life2"); err != nil {
		t.Fatal(err)
	}
	if err := instance.RenameDatabase(ctx, "life", "life3"); !errors.Is(err, postgres.ErrNoDatabase) {
		t.Errorf("renaming what is not there: %v", err)
	}
	if exists, err := instance.DatabaseExists(ctx, "life2"); err != nil || !exists {
		t.Errorf("exists = %v, %v", exists, err)
	}
	long := strings.Repeat("x", 64)
	if err := instance.CreateDatabase(ctx, long, like); err == nil {
		t.Error("a name that PostgreSQL would cut off is taken")
	}
	if err := instance.DropDatabase(ctx, "life2"); err != nil {
		t.Fatal(err)
	}
	if err := instance.DropDatabase(ctx, "life2"); err != nil {
		t.Errorf("dropping it again: %v", err)
	}
	if _, err := instance.Database(ctx, "life2"); !errors.Is(err, postgres.ErrNoDatabase) {
		t.Errorf("describing what is not there: %v", err)
	}
}

// The configured database may be the very one that was lost.
func TestConfiguredDatabaseIsGone(t *testing.T) {
	environ := append(postgrestest.Shared(t).Environ(), "PGDATABASE=gone")
	if _, err := open(t, environ...).Databases(t.Context()); err != nil {
		t.Error(err)
	}
}

// A password reaches pg_dump and the connection, and is in no argument and no variable of a process.
func TestPasswordStaysPrivate(t *testing.T) {
	const password = `hunter2 :\'"%41`
	server := postgrestest.Start(t, postgrestest.WithPassword(password))
	dir := t.TempDir()
	environ := []string{"DATABASE_URL=" + server.PasswordURL("postgres"), "BACKUP_ENCRYPT_PASSPHRASE=hunter2",
		stub(t, "pg_dump", fmt.Sprintf("cat /proc/self/environ > %s/environ; echo \"$@\" > %s/args; exec %s/pg_dump \"$@\"", dir, dir, server.Bin))}
	dump := dumpAll(t, open(t, environ...), "postgres", postgres.FormatPlain)
	if !strings.Contains(dump, "dump complete") {
		t.Error("the dump is not complete")
	}
	for _, file := range []string{"environ", "args"} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "hunter2") {
			t.Errorf("the password is in %s: %q", file, content)
		}
	}
	_, err := open(t, "DATABASE_URL="+strings.Replace(server.PasswordURL("postgres"), "hunter2", "hunter3", 1)).Server(t.Context())
	if err == nil || strings.Contains(err.Error(), "hunter") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestServerIsAway(t *testing.T) {
	_, err := open(t, "PGHOST="+t.TempDir()).Server(t.Context())
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("error = %v, want one line", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, postgrestest.Shared(t).Environ()...).Server(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}

func TestToolOlderThanServer(t *testing.T) {
	environ := append(postgrestest.Shared(t).Environ(), stub(t, "pg_dump", "echo 'pg_dump (PostgreSQL) 9.6.1'"))
	tools, err := open(t, environ...).ToolVersions(t.Context())
	// Where a newer one is installed, that is taken.
	if err != nil && !strings.Contains(err.Error(), "9.6.1 is older than the server") {
		t.Fatal(err)
	}
	if err == nil && tools[0].Number < 100000 {
		t.Errorf("took %+v", tools[0])
	}
}

// What a connection string asks for reaches the tools and the connection alike, keywords without a variable included.
func TestSettingsReachEverything(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.WithPassword("secret"))
	url := fmt.Sprintf("postgresql://%s:secret@/postgres?hostaddr=127.0.0.1&port=%d&application_name=mine&keepalives_idle=7&options=%s",
		postgrestest.Superuser, server.Port, "-c%20work_mem%3D7MB")
	instance := open(t, "DATABASE_URL="+url, "PATH="+os.Getenv("PATH"))
	if err := instance.CreateDatabase(t.Context(), "made", postgres.Database{}); err != nil {
		t.Fatal(err)
	}
	const sql = "CREATE TABLE seen AS SELECT current_setting('work_mem') || ' ' || current_setting('application_name') AS v;\n"
	if err := instance.Load(t.Context(), "made", postgres.FormatPlain, strings.NewReader(sql)); err != nil {
		t.Fatal(err)
	}
	if got := server.Value(t, "made", "SELECT v FROM seen"); got != "7MB mine" {
		t.Errorf("psql's session had %q", got)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	settings, err := postgres.SettingsFrom([]string{"DATABASE_URL=postgresql://u:secret@h/d?sslpassword=secret"})
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, dir)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		if info, err := entry.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read %s: %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := instance.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
