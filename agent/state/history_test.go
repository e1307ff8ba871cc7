package state

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHistoryHasBounds(t *testing.T) {
	dir := t.TempDir()
	history := openFolder(t, dir).History
	begun := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const more = 5
	for n := range maxHistory + more {
		err := history.Add(Ended{ID: fmt.Sprintf("run%d", n), State: StateFailed, FinishedAt: begun.Add(time.Duration(n) * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := openFolder(t, dir).History.All() // as another process sees it
	if err != nil || len(all) != maxHistory || all[0].ID != fmt.Sprintf("run%d", maxHistory+more-1) || all[maxHistory-1].ID != fmt.Sprintf("run%d", more) {
		t.Fatalf("%d are remembered, %v", len(all), err)
	}
	words := strings.Repeat("é", maxWords) + "the end"
	if err := history.Add(Ended{ID: "long", FinishedAt: begun.Add(time.Hour), Words: words}); err != nil {
		t.Fatal(err)
	}
	all, err = history.All()
	if err != nil || len(all[0].Words) > maxWords+len("…") || !strings.HasSuffix(all[0].Words, "the end") {
		t.Errorf("%v; of %d bytes %d are kept", err, len(words), len(all[0].Words))
	}
	for _, id := range []string{"../x", "", "a/b"} {
		if err := history.Add(Ended{ID: id}); err == nil {
			t.Errorf("%q is taken for an id", id)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "history", "*.json"))
	if err != nil || len(files) != maxHistory {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for path, want := range map[string]os.FileMode{files[0]: 0o600, filepath.Dir(files[0]): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if err := os.WriteFile(files[1], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := history.All(); err == nil || len(all) != maxHistory-1 {
		t.Errorf("with one that is broken: %d, %v", len(all), err)
	}
}
