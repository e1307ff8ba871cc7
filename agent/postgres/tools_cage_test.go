package postgres_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// A file of unknown origin is loaded by a login of its own, whose tools read nothing of the agent's either.
func TestToolsOfAConfinedLoginReadNothingOfTheAgents(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.WithPassword("secret"))
	server.CreateDatabase(t, "held")
	secret := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(secret, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	instance := open(t, server.Environ()...)
	instance.Hidden = []string{secret}
	confined, err := instance.Sandbox(t.Context(), "held", "pgharbor_held")
	if err != nil {
		t.Fatal(err)
	}
	defer confined.Close(t.Context())
	script := fmt.Sprintf("CREATE TABLE public.stolen (a text);\n\\copy public.stolen FROM '%s'\n", secret)
	if err := confined.Load(t.Context(), "held", "plain", strings.NewReader(script)); err == nil {
		t.Errorf("it has %s rows of the passphrase file", server.Value(t, "held", "SELECT count(*) FROM public.stolen"))
	}
}

// What a script tells psql to do on its host, psql can't do, although the script is loaded as it is. Stock psql does all of it.
func TestToolsDoNoMoreThanTheirWork(t *testing.T) {
	server := postgrestest.Shared(t)
	folder := t.TempDir()
	secret := filepath.Join(folder, "state", "passphrase")
	if err := os.Mkdir(filepath.Dir(secret), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secret, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	instance := open(t, server.Environ()...)
	instance.Hidden = []string{filepath.Dir(secret)}
	mark := filepath.Join(folder, "mark")
	for name, script := range map[string]string{
		"a shell":          `\! touch ` + mark,
		"a program":        `\copy (SELECT 1) TO PROGRAM 'touch ` + mark + `'`,
		"backticks":        "\\set x `touch " + mark + "`",
		"a file":           `\copy (SELECT 1) TO '` + mark + `'`,
		"all that it says": "\\o " + mark + "\nSELECT 1;",
		"a hidden file":    fmt.Sprintf("CREATE TABLE stolen (a text);\n\\copy stolen FROM '%s'\n", secret),
	} {
		t.Run(name, func(t *testing.T) {
			server.CreateDatabase(t, "held")
			taken := func() bool {
				_, err := os.Stat(mark)
				return err == nil || server.Value(t, "held", "SELECT to_regclass('stolen')") != "" && server.Value(t, "held", "SELECT count(*) FROM stolen") != "0"
			}
			err := instance.Load(t.Context(), "held", "plain", strings.NewReader(script+"\n"))
			if taken() {
				t.Errorf("it is done: %v", err)
			}
			cmd := exec.CommandContext(t.Context(), "psql", "-X", "-d", "held")
			cmd.Env, cmd.Stdin = append(os.Environ(), server.Environ()...), strings.NewReader(script+"\n")
			if output, err := cmd.CombinedOutput(); !taken() {
				t.Errorf("stock psql does not do it either, so this shows nothing: %v: %s", err, output)
			}
			_ = os.Remove(mark)
		})
	}
}
