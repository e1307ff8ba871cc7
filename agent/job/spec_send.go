package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/state"
)

// SendSpec asks for a stored file from Offset, in bytes, to its end. Whole asks for the manifest
// before it and the globals file after it, too.
type SendSpec struct {
	BackupID string
	Offset   int64
	Whole    bool
	To       Uploader
}

// Uploader sends stored files to anyone who waits for them.
type Uploader interface {
	// Upload sends content to its end under the transfer's id and returns once
	// the other side has all of it. The manifest, which may be nil, goes before it.
	Upload(ctx context.Context, transferID string, manifest []byte, content io.Reader) error
}

// Kind implements Spec.
func (SendSpec) Kind() string { return "send" }

func (s SendSpec) check() error {
	if s.Offset < 0 {
		return fmt.Errorf("%w: the offset %d is before the file", errSpec, s.Offset)
	}
	return checkBackupID(s.BackupID)
}

func (s SendSpec) about() state.About { return state.About{BackupID: s.BackupID} }

func (SendSpec) refused(policy.Policy) string { return "" }

func (s SendSpec) run(ctx context.Context, on *workers, task *task) error {
	release, err := on.sends.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	file, stored, err := on.engine.OpenStored(s.BackupID)
	if err != nil {
		return err
	}
	defer file.Close()
	var manifest []byte
	all, total := io.Reader(backup.From(file, s.Offset)), stored.SizeBytes
	if s.Whole {
		if manifest, err = on.engine.ReadManifest(stored.Location); err != nil {
			return err
		}
	}
	if s.Whole && stored.Globals != nil {
		globals, err := on.engine.SourceOf(stored).OpenGlobals()
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: the file with the roles and settings of %s is gone", backup.ErrNotFound, stored.ID)
		}
		if err != nil {
			return err
		}
		defer globals.Close()
		all, total = io.MultiReader(all, backup.From(globals, 0)), total+stored.Globals.SizeBytes
	}
	content := &countedReader{
		source: all, done: s.Offset,
		onRead: func(done int64) {
			task.progress(backup.Progress{Phase: PhaseSend, DoneBytes: done, TotalBytes: total})
		},
	}
	return s.To.Upload(ctx, task.id, manifest, content)
}

type countedReader struct {
	source io.Reader
	done   int64
	onRead func(done int64)
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.source.Read(p)
	c.done += int64(n)
	c.onRead(c.done)
	return n, err
}
