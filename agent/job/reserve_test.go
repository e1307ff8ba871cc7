package job

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
)

// A backup disk that has nothing to spare takes no byte of what others ask for, and all of the host's own rounds.
func TestWhatOthersAskForLeavesTheReserve(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "spare")
	server.Exec(t, "spare", "CREATE TABLE goods AS SELECT generate_series(1, 100) AS id")
	lender, manifest, key := lend(t, "spare")
	r := newRunner(t, func(c *Config) {
		c.HostPolicy = func() (policy.Policy, error) { return policy.Parse([]byte(`{"unproven": true}`)) }
	})
	folderOf(r.Engine).SetReserve(1 << 60)
	spec := RestoreSpec{BackupID: manifest.ID, Target: "spare2", Source: &Source{Instance: "other-db", TransferID: "t", Key: key, From: &lender}}
	if result := accept(t, r, Job{ID: "job1", Spec: spec}); !strings.Contains(result.Error, "too full for what others ask") {
		t.Errorf("a fetch ends as %s: %s", result.State, result.Error)
	}
	if result := accept(t, r, Job{ID: "job2", Spec: BackupSpec{Database: "spare"}}); !strings.Contains(result.Error, "too full for what others ask") {
		t.Errorf("a backup that was asked for ends as %s: %s", result.State, result.Error)
	}
	if err := Failures(r.Runs.BackUp(t.Context(), Request{Trigger: state.TriggerSchedule, Databases: []string{"spare"}})); err != nil {
		t.Errorf("a scheduled one: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(folderOf(r.Engine).Dir(), ".incoming", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	files, err := os.ReadDir(filepath.Join(folderOf(r.Engine).Dir(), "spare"))
	if err != nil || len(files) > 4 { // the file, its manifest, its globals file, the lock
		t.Errorf("stored is %v, %v", files, err)
	}
}
