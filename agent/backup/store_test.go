package backup_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/agent/store/storetest"
)

// A backup lives its whole life in a store that is no folder.
func TestAnyStoreKeepsBackups(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "portable")
	server.Exec(t, "portable", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n; ALTER DATABASE portable SET work_mem = '5MB'")
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		config := newConfig(t, server.Environ()...)
		config.Format, config.Store = format, storetest.NewMemory(time.Now)
		manifest := backUp(t, config, "portable")
		stored := find(t, config, manifest)
		if damage, err := backup.New(*config).Repository.Scrub(t.Context(), stored, nil); damage != "" || err != nil {
			t.Errorf("%s: %q, %v", format, damage, err)
		}
		request := backup.RestoreRequest{From: backup.New(*config).Repository.SourceOf(stored), Manifest: &stored.Manifest, Target: "ported", RestoreID: "ported"}
		if err := backup.New(*config).Restorer.Restore(t.Context(), request); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if got := server.Value(t, "ported", "SELECT count(*) || ' ' || current_setting('work_mem') FROM t"); got != "1000 5MB" {
			t.Errorf("%s: %s", format, got)
		}
		server.DropDatabase(t, "ported")
		if err := backup.New(*config).Repository.Hold(stored.ID, backup.Hold{Reason: "audit"}); err != nil {
			t.Fatal(err)
		}
		if err := backup.New(*config).Repository.Remove(stored.ID); !errors.Is(err, store.ErrHeld) || find(t, config, manifest).Hold.Reason != "audit" {
			t.Errorf("%s: removed: %v", format, err)
		}
		if err := errors.Join(backup.New(*config).Repository.Release(stored.ID), backup.New(*config).Repository.Remove(stored.ID)); err != nil {
			t.Error(err)
		}
		if left, err := backup.New(*config).Repository.Inventory(); err != nil || len(left) > 0 {
			t.Errorf("%s: left are %v: %v", format, left, err)
		}
	}
}
