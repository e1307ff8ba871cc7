// Package storetest tests implementations of backup.Store: all that agent/backup relies on holds, as far as it can be seen
// from outside. What a power cut leaves, an implementation's own tests show.
package storetest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/store"
)

// Place is where a store keeps what it stores, empty at first.
type Place interface {
	// Open opens the store, each time as another process would. It is closed when the test ends.
	Open(t *testing.T) backup.Store
	// Drop puts a file into the store's top in the store's absence, as the script of before did. It reports whether such
	// files can come into the store at all.
	Drop(t *testing.T, name string, content []byte) bool
}

// Run runs all tests, each with a place of its own.
func Run(t *testing.T, newPlace func(t *testing.T) Place) {
	for name, test := range map[string]func(*testing.T, Place){
		"a backup is stored, listed, opened and removed":  roundTrip,
		"no backup is there before its manifest":          commit,
		"what fails or is aborted leaves nothing":         aborts,
		"no backup replaces another":                      namesTaken,
		"what is gone does not exist":                     gone,
		"names that no store gives are refused":           hostileNames,
		"any name of a database comes back":               databases,
		"a database is locked by one run at a time":       locks,
		"a sweep takes what dead runs left and no backup": sweeps,
		"a held backup stays":                             holds,
		"files of the old script are adopted":             imports,
		"what is fetched is kept apart and goes":          incoming,
		"it has space, and is usable":                     space,
	} {
		t.Run(name, func(t *testing.T) { test(t, newPlace(t)) })
	}
}

const name = "backup-2026-11-23-01-00-00.sql.enc"

var at = store.Location{Database: "shop", File: name}

// begin begins a backup with its lock taken and its dump written.
func begin(t *testing.T, s backup.Store, database, name, runID, dump string) (_ store.Pending, unlock func()) {
	t.Helper()
	unlock, err := s.Lock(database)
	if err != nil {
		t.Fatal(err)
	}
	pending, err := s.Create(database, name, runID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(pending, dump); err != nil {
		t.Fatal(err)
	}
	return pending, unlock
}

// put stores a backup whose manifest is its own file's name.
func put(t *testing.T, s backup.Store, database, name, runID, dump string) store.Location {
	t.Helper()
	pending, unlock := begin(t, s, database, name, runID, dump)
	defer unlock()
	loc, err := pending.Commit(ownName)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func ownName(loc store.Location) ([]byte, error) { return []byte(loc.File), nil }

// listed returns the backups as "database/file size globals", sorted.
func listed(t *testing.T, s backup.Store) (all []string) {
	t.Helper()
	for entry, err := range s.Manifests() {
		if err != nil {
			t.Fatal(err)
		}
		if string(entry.Manifest) != entry.File {
			t.Errorf("the manifest of %s is %q", entry.File, entry.Manifest)
		}
		if entry.Size >= 0 && entry.ModTime.IsZero() {
			t.Errorf("%s has no time", entry.File)
		}
		all = append(all, fmt.Sprintf("%s/%s %d %d", entry.Database, entry.File, entry.Size, entry.GlobalsSize))
	}
	slices.Sort(all)
	return all
}

// wantListed compares what is listed with what should be.
func wantListed(t *testing.T, s backup.Store, want ...string) {
	t.Helper()
	if got := listed(t, s); !slices.Equal(got, want) {
		t.Errorf("listed is %q, want %q", got, want)
	}
}

// content reads what was opened, to its end.
func content(t *testing.T, file store.Object, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.NewSectionReader(file, 0, file.Size()+1))
	if err != nil || int64(len(data)) != file.Size() {
		t.Errorf("%d bytes of %d are read: %v", len(data), file.Size(), err)
	}
	return string(data)
}

// wantErr reports that an error is not the one wanted.
func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// wantGone reports a part that can still be opened.
func wantGone(t *testing.T, s backup.Store, loc store.Location) {
	t.Helper()
	for _, part := range []store.Part{store.Dump, store.Globals, store.Manifest} {
		file, err := s.Open(loc, part)
		if err == nil {
			_ = file.Close()
		}
		wantErr(t, fmt.Sprintf("Open of part %d", part), err, fs.ErrNotExist)
	}
}
