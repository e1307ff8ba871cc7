package server_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server"
)

// contents returns every file under a folder, with its mode and bytes.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir)] = info.Mode().String() + " " + string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestInitOnAnInitialisedFolderChangesNothing(t *testing.T) {
	dir := initialised(t)
	before := contents(t, dir)
	if _, err := server.Init(t.Context(), initOptions(dir)); !errors.Is(err, fleet.ErrExists) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestInitLeavesNothingThatOthersMayRead(t *testing.T) {
	dir := initialised(t)
	for file, content := range contents(t, dir) {
		// The CA's certificate is public.
		if filepath.Base(file) != "ca.crt" && !strings.HasPrefix(content, "-rw-------") {
			t.Errorf("%s is %s", file, content[:10])
		}
	}
}

// The invite is kept as a hash: anyone who reads the folder can't enrol.
func TestInitKeepsNoSecretOfTheInvite(t *testing.T) {
	dir := t.TempDir()
	made, err := server.Init(t.Context(), initOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	invite, err := pki.ParseInvite(made.Invite)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range contents(t, dir) {
		if strings.Contains(content, invite.Secret) {
			t.Errorf("%s holds the secret", file)
		}
	}
}

// Wherever an Init was cut off, the next one makes a whole control plane.
func TestInitThatWasCutOffCanBeRunAgain(t *testing.T) {
	for _, tt := range []struct {
		name string
		left func(t *testing.T, dir string)
	}{
		{"while it made the CA", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, ".init", "pki", "ca.key"), "half a ")
		}},
		{"while it made the catalog", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, ".init", "pki", "ca.key"), "a key")
			write(t, filepath.Join(dir, ".init", "catalog.db"), "half a ")
			write(t, filepath.Join(dir, ".init", "catalog.db-wal"), "half a ")
		}},
		{"before the catalog was in place", func(t *testing.T, dir string) {
			moved := initialised(t)
			if err := os.Rename(filepath.Join(moved, "pki"), filepath.Join(dir, "pki")); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, ".init", "catalog.db"), "of that CA")
		}},
		{"by its context", func(t *testing.T, dir string) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := server.Init(ctx, initOptions(dir)); err == nil {
				t.Fatal("it went through")
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.left(t, dir)
			made, err := server.Init(t.Context(), initOptions(dir))
			if err != nil {
				t.Fatal(err)
			}
			ca, err := pki.LoadCA(filepath.Join(dir, "pki"))
			if err != nil {
				t.Fatal(err)
			}
			if ca.Fingerprint() != made.CAFingerprint {
				t.Errorf("the CA is %s, the invite's is %s", ca.Fingerprint(), made.CAFingerprint)
			}
			if _, err := os.Stat(filepath.Join(dir, ".init")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it left its workshop: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			config := serveOn(dir)
			config.Ready = func(net.Addr, net.Addr) { cancel() }
			if err := server.Run(ctx, config); err != nil {
				t.Errorf("it can't be served: %v", err)
			}
		})
	}
}

func TestInitRefusesWhatMakesNoSense(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*server.InitOptions)
	}{
		{"no folder", func(o *server.InitOptions) { o.DataDir = "" }},
		{"no address", func(o *server.InitOptions) { o.Advertise = "" }},
		{"an address without a port", func(o *server.InitOptions) { o.Advertise = "example.org" }},
		{"no owner", func(o *server.InitOptions) { o.Owner = "" }},
		{"an owner with a space", func(o *server.InitOptions) { o.Owner = "a b" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new")
			o := initOptions(dir)
			tt.change(&o)
			if _, err := server.Init(t.Context(), o); !errors.Is(err, fleet.ErrInvalid) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it made the folder: %v", err)
			}
		})
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
