package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
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
	folder, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, release, err := folder.Private()
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
		if _, err := Open(dir); !errors.Is(err, ErrShared) {
			t.Errorf("mode %v: %v", mode, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("it left %v, %v", left, err)
		}
	}
}

// Processes that begin at the same moment leave each other's folders alone.
func TestPrivateFoldersOfManyAtOnceStay(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 16 {
		folder := openFolder(t, dir)
		all.Go(func() {
			for range 20 {
				private, release, err := folder.Private()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := os.Stat(filepath.Join(private, "lock")); err != nil {
					t.Error(err)
				}
				if err := release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// Work that begins while another process takes up what is left keeps its record.
func TestRecordsOfManyAtOnceStay(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for n := range 8 {
		folder := openFolder(t, dir)
		all.Go(func() {
			for i := range 20 {
				work, err := folder.Records.Begin(Record{ID: fmt.Sprintf("run-%d-%d", n, i)})
				if err != nil {
					t.Error(err)
					return
				}
				works, err := folder.Records.Abandoned()
				if err != nil || len(works) > 0 {
					t.Errorf("%d are taken over: %v", len(works), err)
				}
				if err := work.Finish(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
