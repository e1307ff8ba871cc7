package storetest

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/store"
)

func locks(t *testing.T, place Place) {
	s, other := place.Open(t), place.Open(t)
	for _, database := range []string{"shop", ""} {
		unlock, err := s.Lock(database)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []backup.Store{s, other} {
			_, err := s.Lock(database)
			wantErr(t, "a second lock", err, store.ErrLocked)
		}
		mail, err := other.Lock("mail")
		if err != nil {
			t.Fatalf("the lock of another database: %v", err)
		}
		mail()
		unlock()
		unlock()
		again, err := other.Lock(database)
		if err != nil {
			t.Fatalf("the lock after unlock: %v", err)
		}
		unlock() // of the earlier holder: must not free the new one's
		_, err = s.Lock(database)
		wantErr(t, "the lock that the other has", err, store.ErrLocked)
		again()
	}
}

func sweeps(t *testing.T, place Place) {
	s := place.Open(t)
	put(t, s, "shop", name, "run1", "whole")
	_, dead := begin(t, s, "shop", name, "run2", "a run that died")
	dead()
	alive, unlock := begin(t, s, "mail", name, "run3", "a run that lives")
	defer unlock()
	other := place.Open(t)
	if removed, err := other.Sweep(); err != nil || len(removed) != 1 {
		t.Errorf("of one dead run %q was removed: %v", removed, err)
	}
	if removed, err := other.Sweep(); err != nil || len(removed) > 0 {
		t.Errorf("a second sweep removed %q: %v", removed, err)
	}
	if _, err := alive.Commit(ownName); err != nil {
		t.Errorf("the run that lives: %v", err)
	}
	wantListed(t, other, "mail/"+name+" 16 -1", "shop/"+name+" 5 -1")
}

func holds(t *testing.T, place Place) {
	s := place.Open(t)
	wantErr(t, "the hold of nothing", s.Hold(at, []byte("why")), fs.ErrNotExist)
	put(t, s, "shop", name, "run1", "dump")
	if hold := holdOf(t, s); hold != nil {
		t.Errorf("held from the start: %q", hold)
	}
	for _, why := range []string{"why", "another reason", ""} {
		if err := s.Hold(at, []byte(why)); err != nil {
			t.Fatal(err)
		}
		if hold := holdOf(t, place.Open(t)); hold == nil || string(hold) != why {
			t.Errorf("the hold is %q, want %q", hold, why)
		}
		wantErr(t, "Remove", place.Open(t).Remove(at), store.ErrHeld)
	}
	if _, err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	wantListed(t, s, "shop/"+name+" 4 -1")
	for range 2 { // the second time there is nothing to release
		if err := s.Release(at); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Remove(at); err != nil {
		t.Fatal(err)
	}
	wantListed(t, s)
	put(t, s, "shop", name, "run2", "again")
	if hold := holdOf(t, s); hold != nil {
		t.Errorf("what takes the name is held: %q", hold)
	}
}

// holdOf is the hold of the only backup.
func holdOf(t *testing.T, s backup.Store) []byte {
	t.Helper()
	for entry, err := range s.Manifests() {
		if err != nil {
			t.Fatal(err)
		}
		return entry.Hold
	}
	t.Fatal("there is no backup")
	return nil
}

func imports(t *testing.T, place Place) {
	const dated, named = "backup-2025-01-15-01-00-00.sql", "backup-before-upgrade.sql.enc"
	can := true
	for _, file := range []string{dated, named, "backup.sql", "other.sql", "backup-x.tar"} {
		can = place.Drop(t, file, []byte("-- old\n")) && can
	}
	s := place.Open(t)
	loose, err := s.Unmanaged()
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "adoption of a file that is absent", s.Import(store.Location{File: "backup-absent.sql"}, nil), fs.ErrNotExist)
	if !can {
		if len(loose) > 0 {
			t.Errorf("loose are %v", loose)
		}
		return
	}
	var names []string
	for _, entry := range loose {
		names = append(names, entry.File)
		if entry.Size != 7 || entry.ModTime.IsZero() || entry.Database != "" || entry.Manifest != nil {
			t.Errorf("loose is %+v", entry)
		}
		file, err := s.Open(entry.Location, store.Dump)
		if got := content(t, file, err); got != "-- old\n" {
			t.Errorf("in %s stands %q", entry.File, got)
		}
		if err := s.Import(entry.Location, []byte(entry.File)); err != nil {
			t.Error(err)
		}
		wantErr(t, "a second adoption", s.Import(entry.Location, []byte("again")), fs.ErrExist)
	}
	if slices.Sort(names); !slices.Equal(names, []string{dated, named}) {
		t.Errorf("loose are %q", names)
	}
	s = place.Open(t)
	wantListed(t, s, "/"+dated+" 7 -1", "/"+named+" 7 -1")
	if loose, err := s.Unmanaged(); err != nil || len(loose) > 0 {
		t.Errorf("loose after adoption are %v: %v", loose, err)
	}
	if err := s.Remove(store.Location{File: named}); err != nil {
		t.Error(err)
	}
	wantListed(t, s, "/"+dated+" 7 -1")
}

func incoming(t *testing.T, place Place) {
	s := place.Open(t)
	for part, text := range map[store.Part]string{store.Dump: "of another", store.Globals: "its roles"} {
		file, err := s.CreateIncoming("restore1", part)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(file, text)
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		_, err = s.CreateIncoming("restore1", part)
		wantErr(t, "a second one", err, fs.ErrExist)
		opened, err := s.OpenIncoming("restore1", part)
		if got := content(t, opened, err); got != text {
			t.Errorf("part %d is %q, want %q", part, got, text)
		}
	}
	_, err := s.OpenIncoming("restore2", store.Dump)
	wantErr(t, "that of another restore", err, fs.ErrNotExist)
	wantListed(t, s)
	if loose, err := s.Unmanaged(); err != nil || len(loose) > 0 {
		t.Errorf("loose are %v: %v", loose, err)
	}
	if removed, err := s.Sweep(); err != nil || len(removed) > 0 {
		t.Errorf("a sweep removed %q: %v", removed, err)
	}
	for range 2 {
		if err := place.Open(t).RemoveIncoming("restore1"); err != nil {
			t.Error(err)
		}
	}
	_, err = s.OpenIncoming("restore1", store.Dump)
	wantErr(t, "one that was removed", err, fs.ErrNotExist)
}
