package job

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
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

// fetchedRequest fetches the backup of a spec from the agent that holds it. It is
// sealed as it was there, and goes when the restore is done.
func (r *Restorer) fetchedRequest(ctx context.Context, task *task, spec RestoreSpec) (request backup.RestoreRequest, origin backup.Origin, done func(), err error) {
	// Its own backups are here. What comes from elsewhere under its name may be anybody's who has
	// the passphrase.
	if spec.Source.Instance == r.engine.InstanceName {
		return request, origin, nil, fmt.Errorf("%w: a backup of this instance does not come from another one", errSpec)
	}
	incoming := r.engine.Store
	done = func() {
		if err := incoming.RemoveIncoming(task.id); err != nil {
			r.log.Error("what was fetched for a restore could not be removed", "restore", task.id, "error", err)
		}
	}
	if err := incoming.RemoveIncoming(task.id); err != nil { // of a broken restore of the same id
		return request, origin, done, err
	}
	fetched := &fetched{restorer: r, spec: spec, progress: task.progress, id: task.id, preflight: func(request backup.RestoreRequest) error {
		return r.engine.LookAhead(ctx, request)
	}, admit: func(origin backup.Origin, of backup.Manifest) error {
		_, err := r.admission.admitAsked(ctx, task.allowed, origin, of)
		return err
	}}
	err = spec.Source.From.Fetch(ctx, spec.Source.TransferID, fetched)
	if err = errors.Join(err, fetched.close()); err != nil {
		done()
		return request, origin, done, err
	}
	request = fetched.request()
	request.From = r.engine.FetchedFor(task.id)
	return request, fetched.origin, done, nil
}

// fetched receives a backup. It takes no byte of one that is not what the other
// agent signed, that the host does not allow, that no passphrase here opens, for which there is no room, or that
// could not be restored here.
type fetched struct {
	restorer  *Restorer
	spec      RestoreSpec
	progress  func(backup.Progress)
	id        string // of the restore
	sparing   *store.Sparing
	preflight func(backup.RestoreRequest) error
	admit     func(backup.Origin, backup.Manifest) error

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
func (f *fetched) Begin(stored []byte) (err error) {
	if len(stored) == 0 {
		return errOlderAgent
	}
	if f.manifest, err = backup.ParseManifest(stored); err != nil {
		return err
	}
	if f.manifest.ID != f.spec.BackupID || f.manifest.Instance != f.spec.Source.Instance {
		return fmt.Errorf("%w: it is that of the backup %s of %s", backup.ErrForged, f.manifest.ID, f.manifest.Instance)
	}
	engine := f.restorer.engine
	if f.origin, err = engine.Origin(stored, f.manifest, f.spec.Source.Key); err != nil {
		return err
	}
	if err := engine.CheckPassphrase(stored, f.manifest); err != nil {
		return fmt.Errorf("%w: it takes the one of %s, in BACKUP_OLD_PASSPHRASES_FILE on this host", err, f.spec.Source.Instance)
	}
	if err := f.admit(f.origin, f.manifest); err != nil {
		return err
	}
	if err := f.preflight(f.request()); err != nil {
		return err
	}
	return f.makeRoom()
}

// request is the restore, but for where its file is.
func (f *fetched) request() backup.RestoreRequest {
	return backup.RestoreRequest{
		Manifest: &f.manifest, Target: f.spec.Target, Replace: f.spec.Replace, WithRoles: f.spec.WithRoles,
		TrustContent: f.spec.TrustContent, Confined: !f.origin.Proven(),
	}
}

func (f *fetched) makeRoom() error {
	need := min(f.manifest.SizeBytes, math.MaxInt64/2)
	if f.manifest.Globals != nil {
		need += min(f.manifest.Globals.SizeBytes, math.MaxInt64/2)
	}
	scheduledBytes := f.restorer.coverage.nextRunBytes() // goes first
	files := f.restorer.engine.Store
	if err := store.Room(files, need, scheduledBytes); err != nil {
		return err
	}
	f.sparing = store.Spare(files, scheduledBytes)
	if err := f.expect(store.Dump, f.manifest.SizeBytes); err != nil || f.manifest.Globals == nil {
		return err
	}
	return f.expect(store.Globals, f.manifest.Globals.SizeBytes)
}

// expect makes the file of a part that will have so many bytes.
func (f *fetched) expect(which store.Part, size int64) error {
	file, err := f.restorer.engine.Store.CreateIncoming(f.id, which)
	if err == nil {
		f.files = append(f.files, part{file, size})
	}
	return err
}

// Write implements io.Writer.
func (f *fetched) Write(p []byte) (written int, err error) {
	if f.sparing != nil {
		if err := f.sparing.Take(len(p)); err != nil {
			return 0, err
		}
	}
	for n := range f.files {
		part := &f.files[n]
		now := p[:min(int64(len(p)), part.left)]
		if _, err := part.file.Write(now); err != nil {
			return written, err
		}
		part.left -= int64(len(now))
		written += len(now)
		p = p[len(now):]
	}
	f.done += int64(written)
	f.progress(backup.Progress{Phase: PhaseFetch, DoneBytes: f.done, TotalBytes: f.done + f.left()})
	if len(p) > 0 {
		return written, fmt.Errorf("%w: more came than its manifest says", backup.ErrDamaged)
	}
	return written, nil
}

func (f *fetched) left() (left int64) {
	for _, part := range f.files {
		left += part.left
	}
	return left
}

// close ends the receiving; what is missing by then is damage, which the restore
// would find too.
func (f *fetched) close() (err error) {
	for _, part := range f.files {
		err = errors.Join(err, part.file.Close())
	}
	return err
}
