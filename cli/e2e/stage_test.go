package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// canary is a password of the server over TCP, and the passphrase if a script says so. It must be
// found nowhere.
const canary = "canary-Zq7mX2vKp9"

// stage is what one script plays on: a Postgres and an address of its own.
type stage struct {
	tb     testing.TB
	bin    string
	host   string
	server *postgrestest.Server
}

func newStage(tb testing.TB, bin string) *stage {
	return &stage{tb: tb, bin: bin, host: loopback(tb), server: postgrestest.Start(tb, postgrestest.WithPassword(canary))}
}

// daemonScript runs a program with its output in a file: daemon NAME PROGRAM...
const daemonScript = `#!/bin/sh
log=$WORK/$1.log
shift
exec "$@" >>"$log" 2>&1
`

// fleetScript makes a fleet of one, in steps: init, serve (in the background),
// login (as the OWNER ada), enroll (of an agent shop-db, which is not started).
const fleetScript = `#!/bin/sh
set -eu
invite() { sed -n 's/.*"invite": *"\([^"]*\)".*/\1/p'; }
case $1 in
init)
	pgharbor-controlplane init --data-dir "$WORK/harbor" --advertise "$HOST:7443" --owner ada -o json | invite >"$WORK/ada.invite" ;;
serve)
	exec daemon controlplane pgharbor-controlplane serve --data-dir "$WORK/harbor" --listen "$HOST:7443" --http-listen "$HOST:7480" --heartbeat 1s ;;
login)
	pgharbor login "$(cat "$WORK/ada.invite")" ;;
enroll)
	pgharbor-agent enroll "$(pgharbor agents invite shop-db -o json | invite)" ;;
esac
`

// setUp gives a script its environment: psql finds the server, and the
// programs are on the path.
func (s *stage) setUp(env *testscript.Env) error {
	for _, variable := range s.server.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		env.Setenv(name, value)
	}
	tools := filepath.Join(env.WorkDir, ".tools")
	env.Setenv("PATH", strings.Join([]string{tools, s.bin, env.Getenv("PATH")}, string(os.PathListSeparator)))
	env.Setenv("HOST", s.host)
	env.Setenv("CANARY", canary)
	env.Setenv("PASSWORD_URL", s.server.PasswordURL("postgres"))
	env.Setenv("PGHARBOR_CONFIG", filepath.Join(env.WorkDir, "person"))
	env.Setenv("PGHARBOR_STATE_DIR", filepath.Join(env.WorkDir, "state"))
	env.Setenv("BACKUP_DIR", filepath.Join(env.WorkDir, "backups"))
	if err := os.Mkdir(tools, 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{"daemon": daemonScript, "fleet": fleetScript} {
		if err := os.WriteFile(filepath.Join(tools, name), []byte(content), 0o755); err != nil {
			return err
		}
	}
	return nil
}
