package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// maxResident is what the agent may take, in bytes, whatever the database.
const maxResident = 64 << 20

// TestMemoryDoesNotGrow backs up a database of 1 MiB and one of 200 MiB, in
// every format, and looks at the peak of the agent's resident memory. The
// agent is built without the race detector, which would take most of it.
func TestMemoryDoesNotGrow(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin+"/", "../../agent/cmd/pgharbor-agent").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	w := newWorld(t, bin)
	for database, rows := range map[string]string{"small": "1000", "large": "200000"} {
		w.server.Exec(t, "postgres", "CREATE DATABASE "+database)
		w.server.Exec(t, database, `CREATE TABLE goods AS
			SELECT i, (SELECT string_agg(md5((i * 32 + j)::text), '') FROM generate_series(1, 32) j) AS text FROM generate_series(1, `+rows+`) i`)
	}
	for name, env := range map[string][]string{
		"plain":       nil,
		"zstd":        {"BACKUP_COMPRESSION=zstd"},
		"custom":      {"BACKUP_FORMAT=custom"},
		"not sealed":  {"BACKUP_ENCRYPT_PASSPHRASE="},
		"custom zstd": {"BACKUP_FORMAT=custom", "BACKUP_COMPRESSION=zstd"},
	} {
		for _, database := range []string{"small", "large"} {
			t.Run(name+" "+database, func(t *testing.T) {
				cmd := w.command("pgharbor-agent", "backup", "--database", database)
				cmd.Env = append(append(cmd.Env, "BACKUP_DATABASES="), env...)
				peak := peakResident(t, cmd)
				t.Logf("peak: %d MiB", peak>>20)
				if peak >= maxResident {
					t.Errorf("the agent took %d MiB", peak>>20)
				}
			})
		}
	}
	sizes, _ := filepath.Glob(w.path("backups", "large", "*.sql"))
	if len(sizes) == 0 {
		t.Fatal("no plain backup of the large database")
	}
	if info, err := os.Stat(sizes[0]); err != nil || info.Size() < 3*maxResident {
		t.Errorf("the large database is too small to show anything: %v, %v", info.Size(), err)
	}
}

// peakResident runs a program and returns the most resident memory that it was
// seen to have, in bytes. (What wait4 reports would be the test's own: Linux
// carries it over from the process that forked.)
func peakResident(t *testing.T, cmd *exec.Cmd) int64 {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	var peak int64
	for {
		peak = max(peak, highWater(cmd.Process.Pid))
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			return peak
		case <-ticker.C:
		}
	}
}

// highWater reads VmHWM, which only rises; 0 for a process that has ended.
func highWater(pid int) (bytesResident int64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, line, _ := bytes.Cut(status, []byte("VmHWM:"))
	if _, err := fmt.Sscanf(string(line), "%d kB", &bytesResident); err != nil {
		return 0
	}
	return bytesResident << 10
}
