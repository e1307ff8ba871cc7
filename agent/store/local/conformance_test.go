package local

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/store/storetest"
)

// place is a folder that may not exist yet.
type place string

func (p place) Open(t *testing.T) backup.Store { return open(t, string(p)) }

func (p place) Drop(t *testing.T, name string, content []byte) bool {
	t.Helper()
	if err := os.MkdirAll(string(p), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(string(p), name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return true
}

func TestAFolderIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place { return place(filepath.Join(t.TempDir(), "backups")) })
}
