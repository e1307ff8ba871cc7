package session_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/session"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// newRunner is a real agent's work with folders of its own, and no server. The functions may change it before.
func newRunner(t *testing.T, change ...func(*job.Config)) *job.Runner {
	t.Helper()
	backups, err := local.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	folder, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	clock, err := retention.OpenClockGuard(filepath.Join(t.TempDir(), "clock.json"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { backups.Close() })
	config := job.Config{
		Engine: &backup.Engine{Store: backups, InstanceName: "shop-db", Now: time.Now},
		State:  folder, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		DefaultDatabase: "postgres", Clock: clock, Plan: job.Plan{Concurrency: 1, Retention: retention.Policy{Days: 30, KeepLast: 3}},
	}
	for _, f := range change {
		f(&config)
	}
	return job.New(config)
}

// onServer gives a runner the shared server.
func onServer(t *testing.T) func(*job.Config) {
	t.Helper()
	settings, err := postgres.SettingsFrom(postgrestest.Shared(t).Environ())
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { instance.Close() })
	return func(c *job.Config) { c.Engine.Instance = instance }
}

// connect runs a session until the test ends; nothing of it is left then. The
// functions may change it before.
func connect(t *testing.T, conn grpc.ClientConnInterface, work *job.Runner, change ...func(*session.Session)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &session.Session{
		Conn: conn, Work: session.WorkOf(work), Version: "test", Timezone: "UTC", Log: slog.New(slog.DiscardHandler), Now: time.Now, OnServerTime: work.Clock.Hear,
	}
	for _, f := range change {
		f(s)
	}
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		work.Wait()
	})
}

// leakless checks, after all other cleanups, that no goroutine is left. The shared server has to
// run by then, if the test uses it.
func leakless(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

func manifestOf(id string, loc store.Location, size int64, created time.Time) []byte {
	sum := sha256.Sum256([]byte(id))
	content, err := json.Marshal(backup.Manifest{
		Version: backup.ManifestVersion, ID: id, RunID: "run1", Instance: "shop-db", Database: loc.Database, Filename: loc.File,
		Format: "plain", Compression: backup.CompressionNone, Encryption: backup.Encryption{Scheme: seal.SchemeNone},
		SizeBytes: size, SHA256: hex.EncodeToString(sum[:]), PlainSizeBytes: size, PlainSHA256: hex.EncodeToString(sum[:]),
		CreatedAt: created, StartedAt: created, FinishedAt: created, Trigger: backup.TriggerManual, Complete: true,
	})
	if err != nil {
		panic(err) // a struct of plain fields
	}
	return content
}

// lockedBuffer is a log that can be waited on.
type lockedBuffer struct {
	mu      sync.Mutex
	buffer  bytes.Buffer
	written chan struct{}
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.written != nil {
		close(b.written)
		b.written = nil
	}
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// awaitLine returns the first line that has the word.
func (b *lockedBuffer) awaitLine(ctx context.Context, word string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		b.mu.Lock()
		for line := range strings.Lines(b.buffer.String()) {
			if strings.Contains(line, word) {
				b.mu.Unlock()
				return line, nil
			}
		}
		if b.written == nil {
			b.written = make(chan struct{})
		}
		more := b.written
		b.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// folderOf is the folder in which an engine keeps its backups.
func folderOf(e *backup.Engine) *local.Store { return e.Store.(*local.Store) }
