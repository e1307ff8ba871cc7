package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestVerifyKilledAnywhere kills a test restore with SIGKILL at random moments.
// Its server ends with it, and the next start clears away what is left on disk.
func TestVerifyKilledAnywhere(t *testing.T) {
	const kills = 5
	seed := rand.Uint64()
	if given := os.Getenv("E2E_SEED"); given != "" {
		if err := json.Unmarshal([]byte(given), &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("replay with E2E_SEED=%d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, programs(t))
	w.server.Exec(t, "postgres", "CREATE DATABASE shop")
	w.server.Exec(t, "shop", "CREATE TABLE goods AS SELECT i, repeat(md5(i::text), 20) AS text FROM generate_series(1, 30000) i")
	ground, err := os.MkdirTemp("/tmp", "pgv") // a socket's path is short, and the server may be another user's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(ground) })
	if err := os.Chmod(ground, 0o711); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "BACKUP_VERIFY_DIR="+ground)

	id := strings.Fields(w.run("pgharbor-agent", "backup", "--database", "shop"))[0]
	began := time.Now()
	w.run("pgharbor-agent", "verify", id)
	whole := time.Since(began)
	for range kills {
		cmd := w.command("pgharbor-agent", "verify", id)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(moments.Int64N(int64(whole))), func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // killed, or done before
		timer.Stop()
		w.eventually("its server ends", func() bool { return len(workingIn(ground)) == 0 })
	}
	stop := w.start("pgharbor-agent", "run")
	w.eventually("the rests are cleared", func() bool {
		left, err := os.ReadDir(ground)
		return err == nil && len(left) == 0
	})
	stop()
	w.run("pgharbor-agent", "verify", id)
}

// workingIn returns the processes whose working folder is below dir.
func workingIn(dir string) (found []string) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir) {
			found = append(found, link)
		}
	}
	return found
}
