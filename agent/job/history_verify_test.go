package job

import (
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// However a test restore is asked for, it has ended once.
func TestATestRestoreIsRememberedOnce(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "proven")
	server.Exec(t, "proven", "CREATE TABLE goods AS SELECT generate_series(1, 10) AS id")
	r := newRunner(t, func(c *Config) { c.Plan.Verify.Dir = testRestoreServer(t) })
	outcome := r.Runs.BackUp(t.Context(), Request{Databases: []string{"proven"}, Trigger: state.TriggerManual})[0]
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	id := outcome.Manifest.ID
	stored, err := r.Engine.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	origin, err := r.Engine.OriginOf(stored)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, verify := range map[string]func() error{
		"by a job": func() error { accept(t, r, Job{ID: "verify1", Spec: VerifySpec{BackupID: id}}); return nil },
		"by id":    func() error { _, err := r.Verifier.VerifyBackup(t.Context(), id, nil); return err },
		"by file": func() error {
			_, err := r.Verifier.VerifyFile(t.Context(), local.File(folderOf(r.Engine).Path(stored.Location)), &stored.Manifest, origin, ConsentTrust)
			return err
		},
		"by a file without a manifest": func() error {
			_, err := r.Verifier.VerifyFile(t.Context(), local.File(folderOf(r.Engine).Path(stored.Location)), nil, backup.Origin{}, ConsentTrust)
			return err
		},
	} {
		if err := verify(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all, err := r.State.History.All()
		if err != nil {
			t.Fatal(err)
		}
		ends := 0
		for _, e := range all {
			if e.Kind == "verify" {
				ends++
			}
		}
		if ends != seen+1 {
			t.Errorf("%s: it is remembered %d times", name, ends-seen)
		}
		if seen = ends; all[0].Database != "proven" && name != "by a file without a manifest" {
			t.Errorf("%s: it is of the database %q", name, all[0].Database)
		}
	}
}
