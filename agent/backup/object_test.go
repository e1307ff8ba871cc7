package backup_test

import (
	"bytes"
	"io/fs"
	"os"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store"
)

// inMemory is a backup that is in no folder.
type inMemory struct{ file, globals []byte }

func (m inMemory) Open() (backup.Object, error) { return inMemoryObject{bytes.NewReader(m.file)}, nil }

func (m inMemory) OpenGlobals() (backup.Object, error) {
	if m.globals == nil {
		return nil, fs.ErrNotExist
	}
	return inMemoryObject{bytes.NewReader(m.globals)}, nil
}

type inMemoryObject struct{ *bytes.Reader }

func (o inMemoryObject) Close() error { return nil }

// What reads a backup does not ask where it lives.
func TestABackupIsRestoredFromWhereverItLives(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "anywhere")
	server.Exec(t, "anywhere", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n; ALTER DATABASE anywhere SET work_mem = '5MB'")
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		config := newConfig(t, server.Environ()...)
		config.Format = format
		manifest := backUp(t, config, "anywhere")
		path := folderOf(config).Path(store.Location{Database: "anywhere", File: manifest.Filename})
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		globals, err := os.ReadFile(store.GlobalsName(path))
		if err != nil {
			t.Fatal(err)
		}
		request := backup.RestoreRequest{From: inMemory{file, globals}, Manifest: &manifest, Target: "elsewhere", RestoreID: "memory"}
		if err := backup.New(*config).Restorer.Restore(t.Context(), request); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if got := server.Value(t, "elsewhere", "SELECT count(*) || ' ' || current_setting('work_mem') FROM t"); got != "1000 5MB" {
			t.Errorf("%s: %s", format, got)
		}
		server.DropDatabase(t, "elsewhere")
	}
}
