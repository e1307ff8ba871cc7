package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/store"
)

var held = store.Location{Database: "shop", File: base}

func holdOf(t *testing.T, s *Store) []byte {
	t.Helper()
	for entry, err := range s.Manifests() {
		if err != nil {
			t.Fatal(err)
		}
		return entry.Hold
	}
	return nil
}

func TestAHeldBackupIsNotRemoved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Hold(held, []byte("why")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the hold of nothing: %v", err)
	}
	put(t, s, "shop", base, "run1", "sealed")
	if got := holdOf(t, s); got != nil {
		t.Errorf("held from the start: %q", got)
	}
	for _, why := range []string{"why", "another reason"} {
		if err := s.Hold(held, []byte(why)); err != nil {
			t.Fatal(err)
		}
		if got := string(holdOf(t, open(t, dir))); got != why {
			t.Errorf("the hold is %q", got)
		}
	}
	if err := s.Remove(held); !errors.Is(err, store.ErrHeld) {
		t.Errorf("removed: %v", err)
	}
	if _, err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"shop/" + base + " 6"}, listed(t, s)); diff != "" {
		t.Error(diff)
	}
	for range 2 { // the second time there is nothing to release
		if err := s.Release(held); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Remove(held); err != nil {
		t.Fatal(err)
	}
	if left := onDisk(t, dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// What can't be read of a hold is no reason to let the backup go, nor to hide it.
func TestAHoldThatCannotBeReadHolds(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "shop", base, "run1", "sealed")
	if err := os.Mkdir(filepath.Join(dir, "shop", base+holdSuffix), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := holdOf(t, s); got == nil {
		t.Error("it is not held")
	}
	if err := s.Remove(held); !errors.Is(err, store.ErrHeld) {
		t.Errorf("removed: %v", err)
	}
}

func TestAFaultAtAnyStepOfHoldLeavesTheOldOneOrTheNew(t *testing.T) {
	prepare := func(s *Store) error {
		return errors.Join(backUp(s), s.Hold(held, []byte("old")))
	}
	again := func(s *Store) error { return s.Hold(held, []byte("new")) }
	total := len(steps(t, prepare, again))
	for _, kind := range kinds {
		for n := 1; n <= total; n++ {
			t.Run(fmt.Sprintf("%s/%d", kind.name, n), func(t *testing.T) {
				dir := t.TempDir()
				s := open(t, dir)
				if err := prepare(s); err != nil {
					t.Fatal(err)
				}
				want := onDisk(t, dir)
				s.top.fault = kind.from(n)
				if err := again(s); err == nil {
					t.Fatal("the fault went by")
				}
				s = open(t, dir)
				if got := string(holdOf(t, s)); got != "old" && got != "new" {
					t.Errorf("the hold is %q", got)
				}
				if _, err := s.Sweep(); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, onDisk(t, dir)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}
