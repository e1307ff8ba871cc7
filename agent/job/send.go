package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pgharbor/pgharbor/agent/backup"
)

// SendSpec asks for a stored file from Offset, in bytes, to its end. Whole asks
// for the manifest before it and the companion after it, too.
type SendSpec struct {
	BackupID string
	Offset   int64
	Whole    bool
	To       Uploader
}

// Uploader sends stored files to whoever waits for them.
type Uploader interface {
	// Upload sends content to its end under the transfer's id and returns once
	// the other side has all of it. The manifest, which may be nil, goes before it.
	Upload(ctx context.Context, transferID string, manifest []byte, content io.Reader) error
}

func (r *Runner) performSend(ctx context.Context, job Job) error {
	release, err := acquire(ctx, r.sendSlots)
	if err != nil {
		return err
	}
	defer release()
	file, stored, err := r.Engine.OpenStored(job.Send.BackupID)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(job.Send.Offset, io.SeekStart); err != nil {
		return fmt.Errorf("offset %d of %s: %w", job.Send.Offset, stored.Filename, err)
	}
	var manifest []byte
	all, total := io.Reader(file), stored.SizeBytes
	if job.Send.Whole {
		if manifest, err = r.Engine.Store.ReadManifest(stored.Location); err != nil {
			return err
		}
	}
	if job.Send.Whole && stored.Globals != nil {
		companion, err := r.Engine.Store.OpenGlobals(stored.Location)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: the file with the roles and settings of %s is gone", backup.ErrNotFound, stored.ID)
		}
		if err != nil {
			return err
		}
		defer companion.Close()
		all, total = io.MultiReader(file, companion), total+stored.Globals.SizeBytes
	}
	content := &countedReader{
		source: all, done: job.Send.Offset,
		onRead: func(done int64) {
			r.progress(job.ID, backup.Progress{Phase: PhaseSend, DoneBytes: done, TotalBytes: total})
		},
	}
	return job.Send.To.Upload(ctx, job.ID, manifest, content)
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
