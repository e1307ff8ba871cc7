package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
)

// TestKilledAnywhere kills the agent with SIGKILL at random moments of a
// backup. Whatever the moment: what has a manifest is whole, and after the next
// start nothing else is left.
func TestKilledAnywhere(t *testing.T) {
	const kills = 12
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

	began := time.Now()
	w.run("pgharbor-agent", "backup", "--database", "shop")
	whole := time.Since(began)
	for range kills {
		cmd := w.command("pgharbor-agent", "backup", "--database", "shop")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(moments.Int64N(int64(whole*11/10))), func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // killed, or done before
		timer.Stop()
		w.everyManifestHolds()
	}
	stop := w.start("pgharbor-agent", "run")
	w.eventually("the rests are cleared", func() bool { return w.orphans() == "" })
	w.eventually("no pg_dump is left", func() bool { return len(w.dumps()) == 0 })
	stop()
	w.everyManifestHolds()
}

// everyManifestHolds wants every backup to be what its manifest says.
func (w *world) everyManifestHolds() {
	w.Helper()
	manifests, _ := filepath.Glob(w.path("backups", "shop", "*.manifest.json"))
	if len(manifests) == 0 {
		w.Fatal("the good backup from before is gone")
	}
	for _, path := range manifests {
		content, err := os.ReadFile(path)
		if err != nil {
			w.Fatal(err)
		}
		var manifest backup.Manifest
		if err := json.Unmarshal(content, &manifest); err != nil {
			w.Fatalf("%s: %v", path, err)
		}
		file, err := os.ReadFile(strings.TrimSuffix(path, ".manifest.json"))
		if err != nil {
			w.Fatal(err)
		}
		sum := sha256.Sum256(file)
		if hex.EncodeToString(sum[:]) != manifest.SHA256 || int64(len(file)) != manifest.SizeBytes || !manifest.Complete {
			w.Fatalf("%s does not hold", path)
		}
	}
}

// orphans lists what is in the backup folder and is neither a backup nor what is next to one.
func (w *world) orphans() string {
	var orphans []string
	files, _ := filepath.Glob(w.path("backups", "shop", "*"))
	hidden, _ := filepath.Glob(w.path("backups", "shop", ".*"))
	for _, path := range append(files, hidden...) {
		name := filepath.Base(path)
		manifest := strings.TrimSuffix(strings.TrimSuffix(path, ".manifest.json"), ".globals") + ".manifest.json"
		if _, err := os.Stat(manifest); err != nil && (strings.HasPrefix(name, "backup-") || strings.HasSuffix(name, ".partial")) {
			orphans = append(orphans, name)
		}
	}
	return strings.Join(orphans, " ")
}

// dumps lists the pg_dump processes that read this world's server.
func (w *world) dumps() []string {
	var found []string
	places, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, place := range places {
		arguments, _ := os.ReadFile(filepath.Join(filepath.Dir(place), "cmdline"))
		environment, _ := os.ReadFile(place) // a process that has ended has none
		if strings.Contains(string(arguments), "pg_dump") && strings.Contains(string(environment), w.server.Environ()[0]) {
			found = append(found, string(arguments))
		}
	}
	return found
}
