package job

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestStateFolderOfBeforeBecomesPrivate(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"runs", "journal", "private"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), 0o775); err != nil {
			t.Fatal(err)
		}
	}
	state, err := OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, release, err := state.Private()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = release() }()
	for _, name := range []string{"runs", "journal", "private"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestStateFolderThatOthersWriteToIsRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o770, 0o707, 0o777 | os.ModeSticky} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenState(dir); !errors.Is(err, ErrShared) {
			t.Errorf("mode %v: %v", mode, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("it left %v, %v", left, err)
		}
	}
}
