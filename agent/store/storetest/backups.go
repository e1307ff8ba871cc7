package storetest

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/store"
)

func roundTrip(t *testing.T, place Place) {
	s := place.Open(t)
	pending, unlock := begin(t, s, "shop", name, "run1", "a sealed ")
	if _, err := io.WriteString(pending, "dump"); err != nil {
		t.Fatal(err)
	}
	pending.AddGlobals([]byte("roles"))
	loc, err := pending.Commit(ownName)
	unlock()
	if err != nil || loc != at {
		t.Fatalf("stored as %v: %v", loc, err)
	}
	for _, s := range []backup.Store{s, place.Open(t)} {
		wantListed(t, s, "shop/"+name+" 13 5")
		for part, want := range map[store.Part]string{store.Dump: "a sealed dump", store.Globals: "roles", store.Manifest: name} {
			file, err := s.Open(loc, part)
			if got := content(t, file, err); got != want {
				t.Errorf("part %d is %q, want %q", part, got, want)
			}
		}
	}
	if s.Describe(loc) == "" {
		t.Error("a person is told of no place")
	}
	readsAnywhere(t, s)
	for range 2 {
		if err := s.Remove(loc); err != nil {
			t.Error(err)
		}
	}
	wantListed(t, place.Open(t))
	wantGone(t, s, loc)
}

// readsAnywhere reads parts of one object at the same time.
func readsAnywhere(t *testing.T, s backup.Store) {
	file, err := s.Open(at, store.Dump)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var readers sync.WaitGroup
	for from, want := range []string{"a sealed", " sealed ", "sealed d"} {
		readers.Go(func() {
			got := make([]byte, len(want))
			if _, err := file.ReadAt(got, int64(from)); err != nil || string(got) != want {
				t.Errorf("from %d stands %q: %v", from, got, err)
			}
		})
	}
	readers.Wait()
	if n, err := file.ReadAt(make([]byte, 10), 9); n != 4 || err != io.EOF {
		t.Errorf("at the end %d bytes are read: %v", n, err)
	}
}

func commit(t *testing.T, place Place) {
	s, other := place.Open(t), place.Open(t)
	pending, unlock := begin(t, s, "shop", name, "run1", "dump")
	defer unlock()
	wantListed(t, other)
	_, err := pending.Commit(func(loc store.Location) ([]byte, error) {
		wantListed(t, other)
		return ownName(loc)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantListed(t, other, "shop/"+name+" 4 -1")
	if err := pending.Abort(); err != nil {
		t.Errorf("Abort after Commit: %v", err)
	}
	if _, err := pending.Commit(ownName); err == nil {
		t.Error("one backup is committed twice")
	}
	wantListed(t, other, "shop/"+name+" 4 -1")
}

func aborts(t *testing.T, place Place) {
	s := place.Open(t)
	pending, unlock := begin(t, s, "shop", name, "run1", "half")
	pending.AddGlobals([]byte("roles"))
	if err := errors.Join(pending.Abort(), pending.Abort()); err != nil {
		t.Error(err)
	}
	if _, err := pending.Commit(ownName); err == nil {
		t.Error("Commit after Abort succeeds")
	}
	unlock()
	pending, unlock = begin(t, s, "shop", name, "run2", "whole")
	pending.AddGlobals([]byte("roles"))
	cause := errors.New("no manifest today")
	_, err := pending.Commit(func(store.Location) ([]byte, error) { return nil, cause })
	wantErr(t, "Commit without a manifest", err, cause)
	unlock()
	wantListed(t, s)
	wantGone(t, s, at)
	if removed, err := s.Sweep(); err != nil || len(removed) > 0 {
		t.Errorf("a sweep finds %q: %v", removed, err)
	}
}

func namesTaken(t *testing.T, place Place) {
	s := place.Open(t)
	const last, next, after = "backup-2026-12-31-23-59-59.sql", "backup-2027-01-01-00-00-00.sql", "backup-2027-01-01-00-00-01.sql"
	put(t, s, "shop", last, "run1", "first")
	if loc := put(t, s, "shop", last, "run2", "second!"); loc.File != next {
		t.Errorf("the second of a second is %s, want %s", loc.File, next)
	}
	if loc := put(t, s, "shop", last, "run3", "third"); loc.File != after {
		t.Errorf("the third of a second is %s, want %s", loc.File, after)
	}
	if loc := put(t, s, "mail", last, "run4", "else"); loc.File != last {
		t.Errorf("that of another database is %s, want %s", loc.File, last)
	}
	wantListed(t, s, "mail/"+last+" 4 -1", "shop/"+last+" 5 -1", "shop/"+next+" 7 -1", "shop/"+after+" 5 -1")
}

func gone(t *testing.T, place Place) {
	s := place.Open(t)
	wantListed(t, s)
	wantGone(t, s, at)
	if err := s.Remove(at); err != nil {
		t.Errorf("Remove of nothing: %v", err)
	}
	put(t, s, "shop", name, "run1", "dump")
	other := at
	other.File = "backup-2026-11-23-02-00-00.sql"
	wantGone(t, s, other)
	file, err := s.Open(at, store.Globals)
	if err == nil {
		_ = file.Close()
	}
	wantErr(t, "Open of a companion that was not made", err, fs.ErrNotExist)
}

func hostileNames(t *testing.T, place Place) {
	s := place.Open(t)
	put(t, s, "shop", name, "run1", "dump")
	for _, file := range []string{"", ".", "..", "../secret", "/etc/passwd", name + ".manifest.json", name + "/", "secret", name + "\x00",
		"backup-2026-11-23-01-00-00.sql\n", "backup-old.sql", "backup-" + strings.Repeat("9", 300) + ".sql"} {
		loc := store.Location{Database: "shop", File: file}
		_, openErr := s.Open(loc, store.Dump)
		_, createErr := s.Create("shop", file, "run2")
		for what, err := range map[string]error{
			"Open": openErr, "Create": createErr, "Remove": s.Remove(loc), "Adopt": s.Import(loc, nil), "Hold": s.Hold(loc, nil), "Release": s.Release(loc),
		} {
			wantErr(t, what+" of "+file, err, store.ErrName)
		}
	}
	for _, id := range []string{"", "../x", "a/b", "A", strings.Repeat("a", 65)} {
		_, runErr := s.Create("shop", name, id)
		_, makeErr := s.CreateIncoming(id, store.Dump)
		_, openErr := s.OpenIncoming(id, store.Dump)
		for what, err := range map[string]error{"Create": runErr, "CreateIncoming": makeErr, "OpenIncoming": openErr, "RemoveIncoming": s.RemoveIncoming(id)} {
			wantErr(t, what+" by "+id, err, store.ErrName)
		}
	}
	_, err := s.Create("", name, "run3")
	wantErr(t, "Create of no database", err, store.ErrName)
	wantListed(t, s, "shop/"+name+" 4 -1")
}

func databases(t *testing.T, place Place) {
	s := place.Open(t)
	names := []string{"..", ".", "../../etc", "/", "-rf", "a b", "new\nline", "qu\"o'te", "%2e%2e", "%", "Ümläut 密", "\x7f", "\u0085", "\xff\xfe",
		".lock", ".incoming", name, strings.Repeat("/", 63), "C:\\x", "a/../b", "a", "A"}
	for _, database := range names {
		loc := put(t, s, database, name, "run1", database)
		file, err := s.Open(loc, store.Dump)
		if got := content(t, file, err); got != database {
			t.Errorf("that of %q is %q", database, got)
		}
	}
	var got []string
	for entry, err := range place.Open(t).Manifests() {
		if err != nil {
			t.Error(err)
		}
		got = append(got, entry.Database)
	}
	slices.Sort(got)
	slices.Sort(names)
	if !slices.Equal(got, names) {
		t.Errorf("the databases are %q, want %q", got, names)
	}
}

func space(t *testing.T, place Place) {
	s := place.Open(t)
	if err := s.Usable(); err != nil {
		t.Error(err)
	}
	has, err := s.Space()
	if err != nil || has.Free <= 0 || has.Reserve < 0 || has.Of == "" {
		t.Errorf("its space is %+v: %v", has, err)
	}
}
