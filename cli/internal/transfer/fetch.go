package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	"github.com/pgharbor/pgharbor/internal/chunk"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// A stream on which nothing comes for this long is given up and opened again.
const stallLimit = 2 * time.Minute

// Download is one backup on its way to this machine.
type Download struct {
	Session *session.Session
	Conn    *grpc.ClientConn
	Backup  *pgharborv1.Backup
	Reason  string
}

// Fetch downloads the rest of the backup's stored file into the part and verifies the whole. After a cut it continues
// where it was, as long as each attempt makes progress. A file that does not verify is removed.
func (d *Download) Fetch(ctx context.Context, to *Part) error {
	backup, progress := d.Backup, d.Session.Out.Progress()
	defer progress.Clear()
	if to.size > backup.GetSizeBytes() {
		if err := to.restart(); err != nil {
			return err
		}
	}
	patience, begun := d.Session.Patience(session.DownloadPatience), false
	for to.size < backup.GetSizeBytes() {
		before := to.size
		err := d.Session.Approved(ctx, d.Conn, func() error { return d.fetchOnce(ctx, to, progress) })
		if err == nil {
			break
		}
		if to.size > before {
			patience.Progressed()
			begun = true
		}
		// An agent that is away from the start is said to be so at once.
		if begun {
			err = patience.Wait(ctx, err)
		}
		if err != nil {
			return d.cut(err, to)
		}
	}
	if !to.holds(backup.GetSizeBytes(), backup.GetSha256()) {
		return errors.Join(damaged(backup, "what arrived has not the size and SHA-256 of the catalog"), to.Remove())
	}
	return nil
}

func damaged(backup *pgharborv1.Backup, why string) *exit.Problem {
	return exit.Fail(exit.Integrity, "backup %s does not hold: %s; nothing was kept", backup.GetId(), why).
		WithHint("try once more; if it stays so, the file is damaged: pgharbor list --instance %s", backup.GetInstance())
}

// cut returns the error of a download that may be continued later.
func (d *Download) cut(err error, to *Part) error {
	p := *d.Session.Explain(err)
	switch {
	case p.Code == exit.Integrity:
		return errors.Join(&p, to.Remove())
	case to.size > 0 && session.ApprovalOf(err) == "":
		p.Text += fmt.Sprintf(" (%s of %s are here)", output.Bytes(to.size), output.Bytes(d.Backup.GetSizeBytes()))
		p.Hint = "the same command goes on from there"
	case to.size == 0:
		return errors.Join(&p, to.Remove())
	}
	return &p
}

// fetchOnce downloads until the stream ends.
func (d *Download) fetchOnce(ctx context.Context, to *Part, progress *output.Progress) error {
	backup := d.Backup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallLimit, func() {
		cancel(status.Errorf(codes.Unavailable, "nothing came for %s", stallLimit))
	})
	defer stalled.Stop()
	stream, err := pgharborv1.NewTransferServiceClient(d.Conn).Download(ctx, &pgharborv1.DownloadRequest{
		BackupId: backup.GetId(), Offset: to.size, Reason: d.Reason,
	}, grpc.ForceCodecV2(chunk.NewCodec()))
	if err != nil {
		return err
	}
	message := &pgharborv1.DownloadResponse{}
	frame := chunk.Frame{Message: message}
	for {
		err := stream.RecvMsg(&frame)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return causeOf(ctx, err)
		}
		stalled.Reset(stallLimit)
		if header := message.GetHeader(); header != nil {
			if header.GetSizeBytes() != backup.GetSizeBytes() || header.GetSha256() != backup.GetSha256() {
				return damaged(backup, "the file that is sent is another one")
			}
			continue
		}
		if to.size+int64(frame.Chunk.Len()) > backup.GetSizeBytes() {
			return damaged(backup, "more was sent than the file has")
		}
		_, err = frame.Chunk.WriteTo(to)
		frame.Chunk.Free()
		if err != nil {
			return fmt.Errorf("write the download: %w", err)
		}
		progress.Set("download", to.size, backup.GetSizeBytes())
	}
}

// causeOf returns why this program ended ctx, or else err.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}
