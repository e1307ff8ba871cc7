package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/store"
)

// backUp makes one backup as the agent does, with whatever faults the store has.
func backUp(s *Store) error {
	unlock, err := s.Lock("shop")
	if err != nil {
		return err
	}
	defer unlock()
	f, err := s.Create("shop", base, "run1")
	if err != nil {
		return err
	}
	for range 3 {
		if _, err := io.WriteString(f, "sealed"); err != nil {
			return errors.Join(err, f.Abort())
		}
	}
	f.AddGlobals([]byte("roles"))
	_, err = f.Commit(nameAsManifest)
	return err
}

func removeIt(s *Store) error { return s.Remove(store.Location{Database: "shop", File: base}) }

// steps returns what work does to the disk, in order.
func steps(t *testing.T, prepare, work func(*Store) error) (all []string) {
	s := open(t, t.TempDir())
	if err := prepare(s); err != nil {
		t.Fatal(err)
	}
	s.top.fault = func(step, name string) error {
		name = strings.NewReplacer(store.ManifestName(base), "MANIFEST", store.GlobalsName(base), "GLOBALS", base, "FILE").Replace(filepath.Base(name))
		all = append(all, step+" "+name)
		return nil
	}
	if err := work(s); err != nil {
		t.Fatal(err)
	}
	return all
}

func nothing(*Store) error { return nil }

// What a power cut leaves depends on the order alone: measured on ext4, a name whose folder was not synced is gone.
func TestCommitIsDurableInOrder(t *testing.T) {
	got := steps(t, nothing, backUp)
	want := []string{
		"fsync-folder .", // the database's folder is new
		"create .FILE.run1.partial",
		"write .FILE.run1.partial", "write .FILE.run1.partial", "write .FILE.run1.partial",
		"fsync .FILE.run1.partial",
		"link FILE",
		"fsync-folder .",
		"create .GLOBALS.run1.partial",
		"write .GLOBALS.run1.partial",
		"fsync .GLOBALS.run1.partial",
		"link GLOBALS",
		"remove .GLOBALS.run1.partial",
		"fsync-folder .",
		"create .MANIFEST.run1.partial",
		"write .MANIFEST.run1.partial",
		"fsync .MANIFEST.run1.partial",
		"link MANIFEST",
		"remove .MANIFEST.run1.partial",
		"fsync-folder .",
		"remove .FILE.run1.partial",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// faults says how the n-th step and those after it go: once means that only that one fails.
type faults struct {
	name string
	err  error
	once bool
}

func (f faults) from(n int) func(step, name string) error {
	count := 0
	return func(step, name string) error {
		count++
		if count == n || count > n && !f.once {
			return f.err
		}
		return nil
	}
}

var kinds = []faults{
	{"disk full once", syscall.ENOSPC, true},
	{"input/output error once", syscall.EIO, true},
	{"dead disk, or a crash", syscall.EIO, false},
}

func TestAFaultAtAnyStepLeavesAWholeBackupOrNone(t *testing.T) {
	total := len(steps(t, nothing, backUp))
	for _, kind := range kinds {
		for n := 1; n <= total; n++ {
			t.Run(fmt.Sprintf("%s/%d", kind.name, n), func(t *testing.T) {
				dir := t.TempDir()
				s := open(t, dir)
				s.top.fault = kind.from(n)
				err := backUp(s)
				after := open(t, dir)
				whole := []string{"shop/" + base + " 18"}
				got := listed(t, after)
				if err == nil && !slices.Equal(got, whole) {
					t.Errorf("reported as made, and listed is %q", got)
				}
				if err != nil && kind.once && got != nil {
					t.Errorf("failed with %v, and listed is %q", err, got)
				}
				if err != nil && !errors.Is(err, kind.err) {
					t.Errorf("the cause is lost: %v", err)
				}
				if got != nil && !slices.Equal(got, whole) {
					t.Errorf("neither whole nor none: %q", got)
				}
				if err != nil && kind.once && len(onDisk(t, dir)) > 0 {
					t.Errorf("failed with %v, and left %q", err, onDisk(t, dir))
				}
				checkSwept(t, after, got)
			})
		}
	}
}

func TestAFaultAtAnyStepOfRemoveLeavesAWholeBackupOrNone(t *testing.T) {
	total := len(steps(t, backUp, removeIt))
	for _, kind := range kinds {
		for n := 1; n <= total; n++ {
			t.Run(fmt.Sprintf("%s/%d", kind.name, n), func(t *testing.T) {
				dir := t.TempDir()
				s := open(t, dir)
				if err := backUp(s); err != nil {
					t.Fatal(err)
				}
				s.top.fault = kind.from(n)
				err := removeIt(s)
				after := open(t, dir)
				got := listed(t, after)
				if err == nil && got != nil {
					t.Errorf("reported as removed, and listed is %q", got)
				}
				if got != nil && !slices.Equal(got, []string{"shop/" + base + " 18"}) {
					t.Errorf("neither whole nor none: %q", got)
				}
				checkSwept(t, after, got)
			})
		}
	}
}

// checkSwept sweeps and wants what was listed before and not a file more.
func checkSwept(t *testing.T, s *Store, before []string) {
	t.Helper()
	removed, err := s.Sweep()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, listed(t, s)); diff != "" {
		t.Errorf("Sweep changed the backups: %s", diff)
	}
	if files := onDisk(t, s.Dir()); len(files) != 3*len(before) { // the file, its companion and its manifest
		t.Errorf("after Sweep, which removed %q, there are %q", removed, files)
	}
	if again, err := s.Sweep(); err != nil || again != nil {
		t.Errorf("a second Sweep removed %q, %v", again, err)
	}
}

func TestAFailedFsyncIsNeverTriedAgain(t *testing.T) {
	s := open(t, t.TempDir())
	synced := 0
	s.top.fault = func(step, _ string) error {
		if step != "fsync" {
			return nil
		}
		if synced++; synced == 1 {
			return syscall.EIO
		}
		return nil
	}
	f, err := s.Create("shop", base, "run1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Commit(nameAsManifest); !errors.Is(err, syscall.EIO) {
		t.Errorf("Commit: %v, want EIO", err)
	}
	if _, err := f.Commit(nameAsManifest); err == nil || synced != 1 {
		t.Errorf("a second Commit: %v after %d fsyncs", err, synced)
	}
}

func TestSweepLeavesARunThatIsAlive(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	unlock, err := s.Lock("shop")
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Create("shop", base, "run1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create("mail", base, "run2"); err != nil {
		t.Fatal(err)
	}
	// What only looks like a partial stays: it is none of ours.
	foreign := filepath.Join(dir, "mail", ".vimrc.partial")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	removed, err := open(t, dir).Sweep()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"mail/." + base + ".run2.partial"}, removed); diff != "" {
		t.Error(diff)
	}
	if _, err := f.Commit(nameAsManifest); err != nil {
		t.Errorf("the run that is alive: %v", err)
	}
	unlock()
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}
