package logins_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/pgharbor/pgharbor/cli/internal/logins"
)

func TestTheCommandLineComesBeforeTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	f := logins.Folder{Getenv: func(string) string { return dir }}
	if got, err := f.CurrentIdentity(); err != nil || got != filepath.Join(dir, "contexts", logins.Default) {
		t.Errorf("by the environment: %q, %v", got, err)
	}
	if err := f.Use("work"); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Current(); err != nil || got != "work" {
		t.Errorf("in use: %q, %v", got, err)
	}
	f.Path, f.Context = filepath.Join(dir, "else"), "home"
	if got, err := f.CurrentIdentity(); err != nil || got != filepath.Join(dir, "else", "contexts", "home") {
		t.Errorf("by the command line: %q, %v", got, err)
	}
}

func TestNamesThatLeadElsewhereAreNoContexts(t *testing.T) {
	f := logins.Folder{Path: t.TempDir(), Getenv: func(string) string { return "" }}
	for _, name := range []string{"", ".", "..", "../x", "a/b", ".hidden", "a b"} {
		if got, err := f.Identity(name); err == nil {
			t.Errorf("%q leads to %q", name, got)
		}
	}
	if names, err := f.Names(); err != nil || !slices.Equal(names, nil) {
		t.Errorf("of a folder without logins: %v, %v", names, err)
	}
}
