package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/store"
)

const base = "backup-2026-11-23-01-00-00.sql.enc"

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// put stores a backup whose manifest is its own file's name.
func put(t testing.TB, s *Store, database, name, runID, content string) store.Location {
	t.Helper()
	f, err := s.Create(database, name, runID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, content); err != nil {
		t.Fatal(err)
	}
	loc, err := f.Commit(nameAsManifest)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func nameAsManifest(loc store.Location) ([]byte, error) { return []byte(loc.File), nil }

// listed returns the backups as "database/file size".
func listed(t testing.TB, s *Store) (all []string) {
	t.Helper()
	for entry, err := range s.Manifests() {
		if err != nil {
			t.Fatal(err)
		}
		if string(entry.Manifest) != entry.File {
			t.Errorf("manifest of %s is %q", entry.File, entry.Manifest)
		}
		all = append(all, fmt.Sprintf("%s/%s %d", entry.Database, entry.File, entry.Size))
	}
	return all
}

// onDisk returns the paths of all files below dir, without the locks.
func onDisk(t testing.TB, dir string) (all []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != lockName {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestABackupIsStoredListedOpenedAndRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	s := open(t, dir)
	loc := put(t, s, "shop", base, "run1", "sealed")

	if diff := cmp.Diff([]string{"shop/" + base + " 6"}, listed(t, s)); diff != "" {
		t.Error(diff)
	}
	want := []string{"shop/" + base, "shop/" + base + ".manifest.json"}
	if diff := cmp.Diff(want, onDisk(t, dir)); diff != "" {
		t.Error(diff)
	}
	for path, mode := range map[string]fs.FileMode{"": 0o700, "shop": 0o700, want[0]: 0o600, want[1]: 0o600} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: mode %v, error %v, want %v", path, info.Mode(), err, mode)
		}
	}
	f, err := s.Open(loc, store.Dump)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if data, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size())); err != nil || string(data) != "sealed" {
		t.Errorf("read %q, %v", data, err)
	}
	if data, err := os.ReadFile(s.Path(loc)); err != nil || string(data) != "sealed" {
		t.Errorf("its path leads to %q, %v", data, err)
	}
	for range 2 {
		if err := s.Remove(loc); err != nil {
			t.Error(err)
		}
	}
	if left := onDisk(t, dir); left != nil {
		t.Errorf("left after Remove: %q", left)
	}
	if _, err := s.Open(loc, store.Dump); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open after Remove: %v", err)
	}
}

func TestNoBackupReplacesAnother(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "shop", "backup-2026-12-31-23-59-59.sql", "run1", "first")
	loc := put(t, s, "shop", "backup-2026-12-31-23-59-59.sql", "run2", "second!")
	if want := (store.Location{Database: "shop", File: "backup-2027-01-01-00-00-00.sql"}); loc != want {
		t.Errorf("the second backup of the same second is %v, want %v", loc, want)
	}
	want := []string{"shop/backup-2026-12-31-23-59-59.sql 5", "shop/backup-2027-01-01-00-00-00.sql 7"}
	if diff := cmp.Diff(want, listed(t, s)); diff != "" {
		t.Error(diff)
	}

	// A manifest alone, whose file somebody removed, keeps its name too.
	if err := os.Remove(s.Path(store.Location{Database: "shop", File: "backup-2026-12-31-23-59-59.sql"})); err != nil {
		t.Fatal(err)
	}
	put(t, s, "shop", "backup-2026-12-31-23-59-59.sql", "run3", "third")
	want = []string{"shop/backup-2026-12-31-23-59-59.sql -1", "shop/backup-2027-01-01-00-00-00.sql 7",
		"shop/backup-2027-01-01-00-00-01.sql 5"}
	if diff := cmp.Diff(want, listed(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestADiskWithoutLinksKeepsBackupsToo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.top.fault = func(step, _ string) error {
		if step == "link" {
			return syscall.EPERM // as vfat has it
		}
		return nil
	}
	put(t, s, "shop", "backup-2026-12-31-23-59-59.sql", "run1", "first")
	put(t, s, "shop", "backup-2026-12-31-23-59-59.sql", "run2", "second!")
	want := []string{"shop/backup-2026-12-31-23-59-59.sql 5", "shop/backup-2027-01-01-00-00-00.sql 7"}
	if diff := cmp.Diff(want, listed(t, s)); diff != "" {
		t.Error(diff)
	}
	if files := onDisk(t, dir); len(files) != 4 {
		t.Errorf("on disk stand %q", files)
	}
}

func TestAbortAndAFailedManifestLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	f, err := s.Create("shop", base, "run1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "half"); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, s); got != nil {
		t.Errorf("a backup under way is listed: %q", got)
	}
	if err := errors.Join(f.Abort(), f.Abort()); err != nil {
		t.Error(err)
	}
	if _, err := f.Commit(nameAsManifest); err == nil {
		t.Error("Commit after Abort succeeds")
	}

	f, err = s.Create("shop", base, "run2")
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("no manifest today")
	if _, err := f.Commit(func(store.Location) ([]byte, error) { return nil, cause }); !errors.Is(err, cause) {
		t.Errorf("Commit: %v", err)
	}
	if left := onDisk(t, dir); left != nil {
		t.Errorf("left: %q", left)
	}
}

func TestOneRunADatabaseAtATime(t *testing.T) {
	dir := t.TempDir()
	s, other := open(t, dir), open(t, dir)
	unlock, err := s.Lock("shop")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, other} {
		if _, err := s.Lock("shop"); !errors.Is(err, store.ErrLocked) {
			t.Errorf("second lock: %v, want ErrLocked", err)
		}
	}
	if unlockMail, err := other.Lock("mail"); err != nil {
		t.Errorf("lock of another database: %v", err)
	} else {
		unlockMail()
	}
	unlock()
	unlock()
	again, err := other.Lock("shop")
	if err != nil {
		t.Fatalf("lock after unlock: %v", err)
	}
	unlock() // of the earlier holder: must not free the new one's
	if _, err := s.Lock("shop"); !errors.Is(err, store.ErrLocked) {
		t.Errorf("lock of what the other holds: %v, want ErrLocked", err)
	}
	again()
}

func TestForeignFilesArePassedOverAndBrokenManifestsNamed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "shop", base, "run1", "x")
	for path, size := range map[string]int64{"README": 1, "shop/notes.txt": 1, "shop/.hidden": 1, "shop/x.manifest.json": 1, "%zz/" + base: 1,
		"shop/backup-2026-11-23-09-00-00.sql.manifest.json": store.MaxManifest + 1} {
		path = filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "shop", "backup-2026-11-22-09-00-00.sql.manifest.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	var good, broken []string
	for entry, err := range s.Manifests() {
		if err != nil {
			broken = append(broken, entry.File)
		} else {
			good = append(good, entry.File)
		}
	}
	if diff := cmp.Diff([]string{base}, good); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"backup-2026-11-22-09-00-00.sql", "backup-2026-11-23-09-00-00.sql"}, broken); diff != "" {
		t.Error(diff)
	}
}

func TestFilesOfTheOldScriptAreAdopted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for _, name := range []string{"backup-2025-01-15-01-00-00.sql", "backup-before-upgrade.sql.enc", "backup.sql", "other.sql", "backup-x.tar"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("-- old\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "backup-folder.sql"), 0o700); err != nil {
		t.Fatal(err)
	}
	loose, err := s.Unmanaged()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range loose {
		names = append(names, entry.File)
		if entry.Size != 7 || entry.ModTime.IsZero() || entry.Database != "" {
			t.Errorf("entry %+v", entry)
		}
		if err := s.Import(entry.Location, []byte(entry.File)); err != nil {
			t.Error(err)
		}
		if err := s.Import(entry.Location, []byte("again")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("adopted twice: %v", err)
		}
	}
	if diff := cmp.Diff([]string{"backup-2025-01-15-01-00-00.sql", "backup-before-upgrade.sql.enc"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/" + names[0] + " 7", "/" + names[1] + " 7"}, listed(t, s)); diff != "" {
		t.Error(diff)
	}
	if loose, err := s.Unmanaged(); err != nil || loose != nil {
		t.Errorf("loose after adoption: %v, %v", loose, err)
	}
	if err := s.Remove(store.Location{File: names[1]}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"/" + names[0] + " 7"}, listed(t, s)); diff != "" {
		t.Error(diff)
	}
	if err := s.Import(store.Location{File: "backup-absent.sql"}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("adoption of a file that is absent: %v", err)
	}
}

func TestNothingIsWrittenWhereAMountWentAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mount")
	s := open(t, dir)
	f, err := s.Create("shop", base, "run1")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(dir, dir+".gone"), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Commit(nameAsManifest); !errors.Is(err, store.ErrMoved) {
		t.Errorf("Commit: %v, want ErrMoved", err)
	}
	_, createErr := s.Create("shop", base, "run2")
	_, lockErr := s.Lock("shop")
	_, looseErr := s.Unmanaged()
	for _, err := range []error{createErr, lockErr, looseErr, s.Remove(store.Location{Database: "shop", File: base})} {
		if !errors.Is(err, store.ErrMoved) {
			t.Errorf("%v, want ErrMoved", err)
		}
	}
	for _, err := range s.Manifests() {
		if !errors.Is(err, store.ErrMoved) {
			t.Errorf("Manifests: %v, want ErrMoved", err)
		}
	}
	if left := onDisk(t, dir); left != nil {
		t.Errorf("written beneath the mount: %q", left)
	}
}
