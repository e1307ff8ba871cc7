package backup_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// A restore tells its phases in their order, with bytes, and of a plain dump the tables that are done.
func TestRestoreTellsItsProgress(t *testing.T) {
	sample(t, "harbour", "harbour2")
	config := newConfig(t)
	manifest := backUp(t, config, "harbour")
	var ticks atomic.Int64 // a clock that goes on with each look at it, so that nothing is left out
	config.Now = func() time.Time { return start.Add(time.Duration(ticks.Add(1)) * time.Second) }
	var phases []string
	furthest := map[string]backup.Progress{}
	err := backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{
		From: local.File(filepath.Join(folderOf(config).Dir(), "harbour", manifest.Filename)), Manifest: &manifest, Target: "harbour2", RestoreID: "told",
		OnProgress: func(p backup.Progress) {
			if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
				phases = append(phases, p.Phase)
			}
			furthest[p.Phase] = p
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{backup.PhaseVerify, backup.PhaseRestore, backup.PhaseCompare, backup.PhaseAnalyze, backup.PhaseSwap}
	if len(phases) != len(want) {
		t.Fatalf("phases %v, want %v", phases, want)
	}
	for n := range want {
		if phases[n] != want[n] {
			t.Fatalf("phases %v, want %v", phases, want)
		}
	}
	if p := furthest[backup.PhaseRestore]; p.DoneObjects != 2 || p.TotalObjects != 2 || p.DoneBytes != manifest.PlainSizeBytes {
		t.Errorf("restored %+v, of %d bytes", p, manifest.PlainSizeBytes)
	}
	if p := furthest[backup.PhaseCompare]; p.DoneObjects != 2 || p.TotalObjects != 2 {
		t.Errorf("compared %+v", p)
	}
}
