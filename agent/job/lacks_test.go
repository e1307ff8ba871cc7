package job

import (
	"os"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// Anyone who restores from afar does not read the log of the agent.
func TestWhatARestoreLeavesOutIsTold(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "whole")
	t.Cleanup(func() { server.DropDatabase(t, "part") })
	t.Cleanup(func() { server.DropDatabase(t, "part2") })
	r := newRunner(t, nil)
	outcome := r.Runs.BackUp(t.Context(), Request{Databases: []string{"whole"}, Trigger: state.TriggerManual})[0]
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	stored, err := r.Engine.Find(outcome.Manifest.ID)
	if err != nil {
		t.Fatal(err)
	}
	path := folderOf(r.Engine).Path(stored.Location)
	if err := os.Remove(store.GlobalsName(path)); err != nil {
		t.Fatal(err)
	}
	tells := func(by string, warnings []string) {
		t.Helper()
		if len(warnings) != 1 || !strings.Contains(warnings[0], "settings of the database are not restored: the file with its roles and settings is gone") {
			t.Errorf("%s tells of %q", by, warnings)
		}
	}
	result := accept(t, r, Job{ID: "job1", Spec: RestoreSpec{BackupID: stored.ID, Target: "part"}})
	if result.State != state.StateSucceeded {
		t.Fatalf("result %+v", result)
	}
	tells("a job", result.Warnings)
	request := backup.RestoreRequest{From: local.File(path), Manifest: &stored.Manifest, Target: "part2"}
	id, lacks, err := r.Restorer.RestoreFile(t.Context(), request, backup.Origin{Kind: backup.OriginSigned}, "")
	if err != nil {
		t.Fatal(err)
	}
	tells("a restore by hand", lacks)
	all, err := r.State.History.All()
	if err != nil {
		t.Fatal(err)
	}
	remembered := 0
	for _, ended := range all {
		if ended.Kind == "restore" && (ended.Is("job1") || ended.Is(id)) {
			remembered++
			tells("the history", ended.Warnings)
			if ended.BackupID != stored.ID {
				t.Errorf("the history has the backup %q of %s", ended.BackupID, ended.ID)
			}
		}
	}
	if remembered != 2 {
		t.Errorf("%d restores are remembered", remembered)
	}
}

func TestWarningsAreBounded(t *testing.T) {
	var w lacks
	for range 200 {
		w.add(strings.Repeat("ä", 5000))
	}
	texts := w.texts()
	if len(texts) != maxWarnings || len(strings.Join(texts, "")) > maxWarnings*(maxWarning+8) || !strings.Contains(texts[maxWarnings-1], "151 warnings more") {
		t.Errorf("%d of %d bytes, the last %q", len(texts), len(strings.Join(texts, "")), texts[len(texts)-1])
	}
}
