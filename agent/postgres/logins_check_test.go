package postgres_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// Whether the server lets a role in by a password is told before one is there, and the line that is told mends it.
func TestALoginIsTriedBeforehand(t *testing.T) {
	for name, test := range map[string]struct {
		listens     bool
		rules, line string
	}{
		"trust":                   {true, "local all all trust\nhost all all all trust\n", ""},
		"a password at localhost": {true, "local all all peer\nhost all all localhost scram-sha-256\n", ""},
		"only peer":               {false, "local all all peer\n", "local all all scram-sha-256"},
		"a socket and no line":    {true, "local all all peer\n", "host all all localhost scram-sha-256"},
		"all rejected":            {true, "local all all reject\nhost all all all reject\n", "host all all localhost scram-sha-256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var options []postgrestest.Option
			if test.listens {
				options = append(options, postgrestest.WithPassword("over-tcp"))
			}
			server := postgrestest.Start(t, options...)
			file := server.Value(t, "postgres", "SHOW hba_file")
			set := func(line string) {
				rules := "local all " + postgrestest.Superuser + " trust\n" + line + "\n" + test.rules
				if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
					t.Fatal(err)
				}
				server.Exec(t, "postgres", "SELECT pg_reload_conf()")
			}
			set("")
			instance := open(t, server.Environ()...)
			err := instance.CheckLogin(t.Context())
			var closed *postgres.NoWayIn
			if test.line == "" {
				if err != nil {
					t.Errorf("it is refused: %v", err)
				}
				return
			}
			line := test.line
			if errors.As(err, &closed) && strings.Contains(closed.Line, "pgharbor_restore_") { // from PostgreSQL 16 on
				line = closed.Line
			}
			if !errors.As(err, &closed) || closed.Line != line || !strings.Contains(closed.Remedy(), line) {
				t.Fatalf("%v, want the line %q", err, line)
			}
			set(closed.Line)
			if err := instance.CheckLogin(t.Context()); err != nil {
				t.Errorf("with that line: %v", err)
			}
		})
	}
}
