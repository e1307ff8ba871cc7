package job

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/store"
)

// Source is where a backup of another instance comes from.
type Source struct {
	Instance   string
	TransferID string
	// Key is the one that the control plane knows the other agent by; nil if it knows none.
	Key  ed25519.PublicKey
	From Fetcher
}

// Fetcher brings what the agent of another instance holds.
type Fetcher interface {
	// Fetch hands the transfer with this id to a receiver and returns once it has
	// all of it.
	Fetch(ctx context.Context, transferID string, to Receiver) error
}

// Receiver takes the manifest of a backup, as it is stored, and then the bytes of its file and,
// right after them, of its globals file.
type Receiver interface {
	Begin(manifest []byte) error
	io.Writer
}

// PhaseFetch is that of a restore whose backup comes from another instance.
const PhaseFetch = "fetch"

// errOlderAgent reports that a backup came without what it is known by.
var errOlderAgent = errors.New("the agent that has the backup sends no manifest; it is older than this one")

// incomingFiles are where the backup folder keeps what is fetched for a restore.
type incomingFiles interface {
	backup.Incoming
	store.Spacious
}

// origins know who made a backup, and whether it can be opened here.
type origins interface {
	// Of reports who made a manifest, given as it is stored; attested is the key that the control plane knows its agent by.
	Of(stored []byte, m backup.Manifest, attested ed25519.PublicKey) (backup.Origin, error)
	CheckPassphrase(stored []byte, m backup.Manifest) error
}

// preflights make the checks of a restore whose file is still elsewhere.
type preflights interface {
	Preflight(context.Context, backup.RestoreRequest) error
}

// fetcher brings backups of other instances here.
type fetcher struct {
	instance  string // the name of this one
	incoming  incomingFiles
	origins   origins
	restores  preflights
	log       *slog.Logger
	coverage  *coverage
	admission *admission
}

// fetch brings the backup of a spec from the agent that holds it. It is sealed as it was there, and
// goes when the restore is done.
func (f *fetcher) fetch(ctx context.Context, task *task, spec RestoreSpec) (found atHand, err error) {
	// Its own backups are here. What comes from elsewhere under its name may be anybody's who has
	// the passphrase.
	if spec.Source.Instance == f.instance {
		return found, fmt.Errorf("%w: a backup of this instance does not come from another one", errSpec)
	}
	done := func() {
		if err := f.incoming.RemoveIncoming(task.id); err != nil {
			f.log.Error("what was fetched for a restore could not be removed", "restore", task.id, "error", err)
		}
	}
	if err := f.incoming.RemoveIncoming(task.id); err != nil { // of a broken restore of the same id
		return found, err
	}
	receiving := &receiving{fetcher: f, task: task, spec: spec, admit: func(origin backup.Origin, m *backup.Manifest) error {
		return f.admit(ctx, task, spec, origin, m)
	}}
	err = spec.Source.From.Fetch(ctx, spec.Source.TransferID, receiving)
	if err = errors.Join(err, receiving.close()); err != nil {
		done()
		return found, err
	}
	return atHand{from: backup.Fetched(f.incoming, task.id), manifest: &receiving.manifest, origin: receiving.origin, done: done}, nil
}

// admit refuses a backup that the host does not allow, or that could not be restored here.
func (f *fetcher) admit(ctx context.Context, task *task, spec RestoreSpec, origin backup.Origin, m *backup.Manifest) error {
	if _, err := f.admission.admitAsked(ctx, task.allowed, origin, *m); err != nil {
		return err
	}
	request := spec.request(m)
	request.Sandboxed = !origin.Proven()
	return f.restores.Preflight(ctx, request)
}

// receiving is a backup that comes. It takes no byte of one that is not what the other agent signed,
// that the host does not allow, that no passphrase here opens, for which there is no room, or that
// could not be restored here.
type receiving struct {
	*fetcher
	task    *task
	spec    RestoreSpec
	admit   func(backup.Origin, *backup.Manifest) error
	sparing *store.Sparing

	manifest backup.Manifest
	origin   backup.Origin
	files    []part
	done     int64
}

// part is one of the files that come, with the bytes that it lacks.
type part struct {
	file io.WriteCloser
	left int64
}

// Begin implements Receiver.
func (r *receiving) Begin(stored []byte) (err error) {
	if len(stored) == 0 {
		return errOlderAgent
	}
	if r.manifest, err = backup.ParseManifest(stored); err != nil {
		return err
	}
	if r.manifest.ID != r.spec.BackupID || r.manifest.Instance != r.spec.Source.Instance {
		return fmt.Errorf("%w: it is that of the backup %s of %s", backup.ErrForged, r.manifest.ID, r.manifest.Instance)
	}
	if r.origin, err = r.origins.Of(stored, r.manifest, r.spec.Source.Key); err != nil {
		return err
	}
	if err := r.origins.CheckPassphrase(stored, r.manifest); err != nil {
		return fmt.Errorf("%w: it takes the one of %s, in BACKUP_OLD_PASSPHRASES_FILE on this host", err, r.spec.Source.Instance)
	}
	if err := r.admit(r.origin, &r.manifest); err != nil {
		return err
	}
	return r.makeRoom()
}

func (r *receiving) makeRoom() error {
	need := min(r.manifest.SizeBytes, math.MaxInt64/2)
	if r.manifest.Globals != nil {
		need += min(r.manifest.Globals.SizeBytes, math.MaxInt64/2)
	}
	scheduledBytes := r.coverage.nextRunBytes() // goes first
	if err := store.Room(r.incoming, need, scheduledBytes); err != nil {
		return err
	}
	r.sparing = store.Spare(r.incoming, scheduledBytes)
	if err := r.expect(store.Dump, r.manifest.SizeBytes); err != nil || r.manifest.Globals == nil {
		return err
	}
	return r.expect(store.Globals, r.manifest.Globals.SizeBytes)
}

// expect makes the file of a part that will have so many bytes.
func (r *receiving) expect(which store.Part, size int64) error {
	file, err := r.incoming.CreateIncoming(r.task.id, which)
	if err == nil {
		r.files = append(r.files, part{file, size})
	}
	return err
}

// Write implements io.Writer.
func (r *receiving) Write(p []byte) (written int, err error) {
	if r.sparing != nil {
		if err := r.sparing.Take(len(p)); err != nil {
			return 0, err
		}
	}
	for n := range r.files {
		part := &r.files[n]
		now := p[:min(int64(len(p)), part.left)]
		if _, err := part.file.Write(now); err != nil {
			return written, err
		}
		part.left -= int64(len(now))
		written += len(now)
		p = p[len(now):]
	}
	r.done += int64(written)
	r.task.progress(backup.Progress{Phase: PhaseFetch, DoneBytes: r.done, TotalBytes: r.done + r.left()})
	if len(p) > 0 {
		return written, fmt.Errorf("%w: more came than its manifest says", backup.ErrDamaged)
	}
	return written, nil
}

func (r *receiving) left() (left int64) {
	for _, part := range r.files {
		left += part.left
	}
	return left
}

// close ends the receiving; what is missing by then is damage, which the restore
// would find too.
func (r *receiving) close() (err error) {
	for _, part := range r.files {
		err = errors.Join(err, part.file.Close())
	}
	return err
}
