package job

import (
	"slices"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
)

// What a restore is filling is no database of its own yet. What only looks like that is
// one: somebody restored into such a name, and nobody watched it.
func TestOnlyRestoresUnderWayHideADatabase(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "pgharbor_restore_x")
	server.CreateDatabase(t, "pgharbor_restore_job1")
	r := newRunner(t, nil)
	listed := func() (names []string) {
		t.Helper()
		found, err := r.coverage.databases(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range found {
			names = append(names, d.Name)
		}
		return names
	}
	other, err := state.Open(r.State.Dir()) // of a restore by hand
	if err != nil {
		t.Fatal(err)
	}
	work, err := other.Records.Begin(state.Record{ID: "restore-job1", Restore: &state.Restore{ID: "job1", Target: "again"}})
	if err != nil {
		t.Fatal(err)
	}
	if names := listed(); !slices.Contains(names, "pgharbor_restore_x") || slices.Contains(names, "pgharbor_restore_job1") {
		t.Errorf("the databases are %q", names)
	}
	if err := work.Finish(); err != nil {
		t.Fatal(err)
	}
	if names := listed(); !slices.Contains(names, "pgharbor_restore_job1") {
		t.Errorf("once nothing is under way, the databases are %q", names)
	}
}
