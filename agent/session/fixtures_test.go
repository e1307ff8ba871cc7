package session_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/store"
)

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
