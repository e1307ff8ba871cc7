package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// letIn replaces what the server says of who may log in how, and returns once sessions begin by it.
func letIn(t *testing.T, server *postgrestest.Server, rules string) {
	t.Helper()
	const loaded = "SELECT pg_conf_load_time()"
	before := server.Value(t, "postgres", loaded)
	if err := os.WriteFile(server.Value(t, "postgres", "SHOW hba_file"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, "postgres", "SELECT pg_reload_conf()")
	deadline := time.After(time.Minute)
	for server.Value(t, "postgres", loaded) == before {
		select {
		case <-deadline:
			t.Fatal("the server does not read its rules again")
		default:
		}
	}
}

// The confined role gets in by its password where the socket asks for the user of the operating system, and is refused with
// an error of its own where there is no way in.
func TestSandboxedLogin(t *testing.T) {
	const superuser = "local all postgres trust\nhost all postgres all scram-sha-256\n"
	tests := map[string]struct {
		rules string
		err   error
	}{
		"by TCP beside the socket": {superuser + "local all all reject\nhost all all 127.0.0.1/32 scram-sha-256\n", nil},
		"nowhere":                  {superuser + "local all all reject\nhost all all all reject\n", postgres.ErrNoSandbox},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := postgrestest.Start(t, postgrestest.WithPassword("secret"))
			server.CreateDatabase(t, "shop")
			letIn(t, server, test.rules)
			instance := open(t, server.Environ()...)
			confined, err := instance.Sandbox(t.Context(), "shop", "pgharbor_restore_x")
			if !errors.Is(err, test.err) {
				t.Fatalf("error = %v, want %v", err, test.err)
			}
			if err == nil {
				err = confined.Load(t.Context(), "shop", postgres.FormatPlain, strings.NewReader("CREATE TABLE t ();"))
				if err := errors.Join(err, confined.Close(t.Context())); err != nil {
					t.Error(err)
				}
				if owner := server.Value(t, "shop", "SELECT tableowner FROM pg_tables WHERE tablename = 't'"); owner != "pgharbor_restore_x" {
					t.Errorf("the owner is %q", owner)
				}
			}
			server.DropDatabase(t, "shop")
			if err := instance.DropSandboxed(t.Context(), "pgharbor_restore_x"); err != nil {
				t.Error(err)
			}
			if left := server.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgharbor%'"); left != "0" {
				t.Errorf("%s roles are left", left)
			}
		})
	}
}

// What psql would do of itself it does not do under Restrict, whichever way it is written.
func TestRestrict(t *testing.T) {
	server := postgrestest.Shared(t)
	instance := open(t, server.Environ()...)
	server.CreateDatabase(t, "restricted")
	mark := filepath.Join(t.TempDir(), "mark")
	for name, script := range map[string]string{
		"a command":        "\\! touch " + mark + "\n",
		"with no line end": "\\! touch " + mark,
		"another key":      "\\unrestrict x\n\\! touch " + mark + "\n",
		"backticks":        "\\set x `touch " + mark + "`\n",
		"after SQL":        "SELECT 1 \\g |touch " + mark + "\n",
	} {
		restricted, err := instance.Restrict(t.Context(), strings.NewReader(script))
		if err != nil {
			t.Fatal(err)
		}
		if err := instance.Load(t.Context(), "restricted", postgres.FormatPlain, restricted); err == nil {
			t.Errorf("%s: it is taken", name)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Fatalf("%s: it left a mark", name)
		}
	}
}
