package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgharbor/pgharbor/agent/store"
)

func TestHostileNamesOfDatabasesStayInTheFolder(t *testing.T) {
	outer := t.TempDir()
	dir := filepath.Join(outer, "backups")
	s := open(t, dir)
	names := []string{"..", ".", "../../etc", "/", "-rf", "a b", "new\nline", "qu\"o'te", "%2e%2e", "%", "Ümläut 密",
		"\x7f", "\u0085", "\xff\xfe", ".lock", base, strings.Repeat("/", 63), "C:\\x", "a/../b", "a"}
	for i, name := range names {
		unlock, err := s.Lock(name)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		unlock()
		put(t, s, name, base, fmt.Sprint("run", i), "x")
	}
	var got []string
	for entry, err := range s.Manifests() {
		if err != nil {
			t.Error(err)
		}
		got = append(got, entry.Database)
	}
	slices.Sort(got)
	slices.Sort(names)
	if diff := cmp.Diff(names, got); diff != "" {
		t.Error(diff)
	}
	outside, err := os.ReadDir(outer)
	if err != nil || len(outside) != 1 {
		t.Errorf("beside the folder stands %v, %v", outside, err)
	}
	for _, name := range []string{"", strings.Repeat("/", 200)} {
		if _, err := s.Create(name, base, "run"); !errors.Is(err, store.ErrName) {
			t.Errorf("Create for database %q: %v, want ErrName", name, err)
		}
	}
}

func TestEncodedNamesAreUniqueAndPlain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[%.2EF/a\x00-\x1f]{1,8}`)).Draw(t, "name")
		if rapid.Bool().Draw(t, "bytes") {
			name = string(rapid.SliceOf(rapid.Byte()).Draw(t, "raw"))
		}
		folder, err := encode(name)
		if err != nil {
			if name != "" && len(name)*3 <= store.MaxName {
				t.Fatal(err)
			}
			return
		}
		if !utf8.ValidString(folder) || !filepath.IsLocal(folder) || filepath.Base(folder) != folder || folder[0] == '.' {
			t.Fatalf("%q is encoded as %q, which is no plain name", name, folder)
		}
		if again, ok := decode(folder); !ok || again != name {
			t.Fatalf("%q is encoded as %q, which decodes to %q, %v", name, folder, again, ok)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"shop", "%2F", "%2f", "%", "%2", "%41", "..", "%zz", "%+1", "% 1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, folder string) {
		database, ok := decode(folder)
		if !ok {
			return
		}
		if again, err := encode(database); err != nil || again != folder {
			t.Fatalf("%q decodes to %q, which is encoded as %q, %v", folder, database, again, err)
		}
	})
}

func TestHostileNamesOfFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "shop", base, "run1", "x")
	if err := os.WriteFile(filepath.Join(dir, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".", "..", "../secret", "/etc/passwd", ".lock", base + ".manifest.json", base + "/", "secret",
		base + "\x00", "backup-2026-11-23-01-00-00.sql\n", "backup-old.sql"} {
		loc := store.Location{Database: "shop", File: name}
		_, err := s.Open(loc, store.Dump)
		_, manifestErr := s.Open(loc, store.Manifest)
		_, createErr := s.Create("shop", name, "run2")
		for _, err := range []error{err, manifestErr, createErr, s.Remove(loc), s.Import(loc, nil)} {
			if !errors.Is(err, store.ErrName) {
				t.Errorf("%q: %v, want ErrName", name, err)
			}
		}
	}
	for _, runID := range []string{"", "../x", "a/b", "A", strings.Repeat("a", 65)} {
		if _, err := s.Create("shop", base, runID); !errors.Is(err, store.ErrName) {
			t.Errorf("run id %q: %v, want ErrName", runID, err)
		}
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	loc := put(t, s, "shop", base, "run1", "x")
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("private"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{outside, "../loose", "backup-2026-11-23-02-00-00.sql"} {
		_ = os.Remove(s.Path(loc))
		if err := os.Symlink(target, s.Path(loc)); err != nil {
			t.Fatal(err)
		}
		if f, err := s.Open(loc, store.Dump); err == nil {
			_ = f.Close()
			t.Errorf("a link to %s is opened", target)
		}
	}
	if err := os.Symlink("shop", filepath.Join(dir, "mirror")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"shop/" + base + " -1"}, listed(t, s)); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Create("mirror", base, "run2"); err == nil {
		t.Error("a backup is written through a link")
	}
}
