// Package e2e tries the three programs together, as users do: real processes,
// a real PostgreSQL, real TLS, a real disk. Each script in testdata is a story
// that can be read as documentation.
package e2e

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts in testdata: %v", err)
	}
	bin := programs(t)
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			t.Parallel() // most of a script is waiting
			s := newStage(t, bin)
			testscript.Run(t, testscript.Params{
				Files: []string{script}, Setup: s.setUp, Cmds: s.commands(), RequireExplicitExec: true,
			})
		})
	}
}

// built holds the folder of the programs, which all tests share.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pgharbor-e2e-")
	if err != nil {
		return "", err
	}
	args := []string{"build", "-o", dir + "/"}
	if raceEnabled {
		args = append(args, "-race")
	}
	args = append(args, "../cmd/pgharbor", "../../agent/cmd/pgharbor-agent", "../../controlplane/cmd/pgharbor-controlplane")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

func programs(tb testing.TB) string {
	tb.Helper()
	dir, err := built()
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// loopback returns an address of 127.0.0.0/8 that nobody else uses, so that
// fixed ports on it are free.
func loopback(tb testing.TB) string {
	tb.Helper()
	b := make([]byte, 3)
	if _, err := rand.Read(b); err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprintf("127.%d.%d.%d", 1+b[0]%254, b[1], 1+b[2]%254)
}
