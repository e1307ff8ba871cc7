package server_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/server"
)

// serveChanged initialises a folder, changes it, and serves until it is ready or refuses.
func serveChanged(t *testing.T, change func(dir string), options ...func(*server.Config)) (said string, err error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "controlplane")
	if _, err := server.Init(t.Context(), server.InitOptions{DataDir: dir, Advertise: "127.0.0.1:7443", Owner: "ada", Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	change(dir)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log bytes.Buffer
	config := server.Config{
		DataDir: dir, Listen: "127.0.0.1:0", Heartbeat: server.DefaultHeartbeat, CertificateLife: server.DefaultCertificateLife, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(&log, nil)), Ready: func(_, _ net.Addr) { cancel() },
	}
	for _, option := range options {
		option(&config)
	}
	err = server.Run(ctx, config)
	return log.String(), err
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestADataFolderThatOthersMayChangeIsRefused(t *testing.T) {
	for _, path := range []string{".", "pki", "pki/ca.key", "pki/trail.key", "catalog.db"} {
		_, err := serveChanged(t, func(dir string) { chmod(t, filepath.Join(dir, path), 0o766) })
		if err == nil || !strings.Contains(err.Error(), "others may change it") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestACarelessCopyOfTheDataFolderBecomesPrivate(t *testing.T) {
	var folder string
	said, err := serveChanged(t, func(dir string) {
		folder = dir
		chmod(t, dir, 0o755)
		chmod(t, filepath.Join(dir, "pki/ca.key"), 0o644)
	})
	if err != nil || !strings.Contains(said, "ca.key") {
		t.Errorf("%v:\n%s", err, said)
	}
	for path, want := range map[string]fs.FileMode{".": 0o700, "pki/ca.key": 0o600} {
		info, err := os.Stat(filepath.Join(folder, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s is %v, %v", path, info.Mode(), err)
		}
	}
}

func TestChannelsThatOthersCanReadAreSaidAndThoseTheyCanChangeRefused(t *testing.T) {
	dir := t.TempDir()
	secret, alerts := filepath.Join(dir, "secret"), filepath.Join(dir, "alerts.json")
	config := `{"webhooks": [{"name": "duty", "url": "https://duty.example.com/token", "secret_file": "` + secret + `"}]}`
	for path, content := range map[string]string{secret: "rosebud\n", alerts: config} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	serve := func() (string, error) {
		return serveChanged(t, func(string) {}, func(c *server.Config) { c.AlertsFile = alerts })
	}
	if said, err := serve(); err != nil || strings.Contains(said, "not private") {
		t.Errorf("private: %v:\n%s", err, said)
	}
	for _, path := range []string{secret, alerts} {
		chmod(t, path, 0o644)
		if said, err := serve(); err != nil || !strings.Contains(said, "not private") || !strings.Contains(said, path) {
			t.Errorf("%s can be read: %v:\n%s", path, err, said)
		}
		chmod(t, path, 0o662)
		if _, err := serve(); err == nil || !strings.Contains(err.Error(), "others may change it") {
			t.Errorf("%s can be changed: %v", path, err)
		}
		chmod(t, path, 0o600)
	}
}
