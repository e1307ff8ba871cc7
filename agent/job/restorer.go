package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/internal/random"
)

// restorableFiles are the stored backups, for who restores them.
type restorableFiles interface {
	Find(id string) (backup.Stored, error)
	OriginOf(backup.Stored) (backup.Origin, error)
	SourceOf(backup.Stored) backup.Source
}

// restores restores files into databases; see backup.Restorer.
type restores interface {
	Preview(context.Context, backup.RestoreRequest) []backup.PreflightCheck
	Restore(context.Context, backup.RestoreRequest) error
}

// databaseNames are those of the databases that the instance has.
type databaseNames interface {
	DatabaseExists(ctx context.Context, name string) (bool, error)
}

// Restorer fills databases from backups.
type Restorer struct {
	files         restorableFiles
	fetcher       *fetcher
	restores      restores
	databases     databaseNames
	state         *state.Folder
	log           *slog.Logger
	clock         *Clock
	recorder      *recorder
	reads         *reads
	admission     *admission
	orphans       *orphans
	displacements *Displacements
	turns         *turns
}

// ownID refuses a restore by an id that stands for something already: a restore drops the database
// that is named after its id, and writes again what is known of what it has replaced. The control
// plane gives the ids.
func (r *Restorer) ownID(ctx context.Context, id string) error {
	displaced, err := r.state.Displaced.Of(id)
	if err != nil {
		return err
	}
	if displaced != nil {
		return fmt.Errorf("%w: there was a restore %s, and what it replaced is kept", errSpec, id)
	}
	taken, err := r.databases.DatabaseExists(ctx, backup.TemporaryDatabase(id))
	if err == nil && taken {
		err = fmt.Errorf("%w: there is a database %q already, which a restore by this id would drop", errSpec, backup.TemporaryDatabase(id))
	}
	return err
}

// atHand is a backup that can be read here, and who made it. It is in use until done.
type atHand struct {
	from     backup.Source
	manifest *backup.Manifest
	origin   backup.Origin
	done     func()
}

// find finds the stored backup of a spec, or fetches another instance's. The caller calls done.
func (r *Restorer) find(ctx context.Context, task *task, spec RestoreSpec) (atHand, error) {
	if spec.Source != nil {
		return r.fetcher.fetch(ctx, task, spec)
	}
	stored, err := r.files.Find(spec.BackupID)
	if err != nil {
		return atHand{}, err
	}
	origin, err := r.files.OriginOf(stored)
	if err != nil {
		return atHand{}, err
	}
	return atHand{from: r.files.SourceOf(stored), manifest: &stored.Manifest, origin: origin, done: r.reads.begin(stored.ID)}, nil
}

// testRestoreCheck is what the newest test restore of a stored backup foretells, in a list; an
// empty one if nothing is known of the file.
func (r *Restorer) testRestoreCheck(request backup.RestoreRequest) []backup.PreflightCheck {
	if !state.ValidID(request.Manifest.ID) {
		return nil
	}
	known, err := r.state.Checks.Of(request.Manifest.ID)
	if err != nil {
		r.log.Error("what is known of a backup can't be read", "backup", request.Manifest.ID, "error", err)
		return nil
	}
	return []backup.PreflightCheck{backup.TestRestoreCheck(known.TestRestore, request.TrustContent)}
}

// Preview runs the preflight of a restore of a file of some origin, of which somebody may say more.
func (r *Restorer) Preview(ctx context.Context, request backup.RestoreRequest, origin backup.Origin, consent Consent) []backup.PreflightCheck {
	var err error
	request.Sandboxed, err = r.admission.admit(ctx, origin, consent)
	checks := append(r.restores.Preview(ctx, request), backup.OriginCheck(origin, request.Sandboxed, err))
	if request.Manifest == nil || !origin.Ours() {
		return checks // another's manifest may name the passphrase MAC of one of ours
	}
	return append(checks, r.testRestoreCheck(request)...)
}

// RestoreFile restores a file by hand, without a job, and returns the restore's id and what the
// restored database lacks. A record of it makes sure that its temporary database goes, whatever
// happens. By its origin, and what somebody says of that, the load is sandboxed or not.
func (r *Restorer) RestoreFile(ctx context.Context, request backup.RestoreRequest, origin backup.Origin, consent Consent) (id string, lacks []string, err error) {
	if request.Sandboxed, err = r.admission.admit(ctx, origin, consent); err != nil {
		return "", nil, err
	}
	request.RestoreID, request.Origin = random.ID(), origin.Kind
	work := r.recorder.begin(state.Record{
		ID:      "restore-" + request.RestoreID,
		Restore: &state.Restore{ID: request.RestoreID, Target: request.Target, Replace: request.Replace},
	})
	begun := r.clock.Now().UTC()
	lacks, err = r.restore(ctx, request, "")
	ended := state.Ended{Kind: "restore", ID: request.RestoreID, Database: request.Target, StartedAt: begun, Warnings: lacks}
	if request.Manifest != nil && origin.Ours() { // what else a manifest says, may be another's
		ended.BackupID = request.Manifest.ID
	}
	r.recorder.rememberEnd(ended, err)
	if errors.Is(err, errOutcomeUnknown) || err != nil && !r.orphans.cleanUp(ctx, work) {
		return request.RestoreID, nil, err // the next start takes it up
	}
	r.recorder.finish(work)
	return request.RestoreID, lacks, err
}

// restore also returns what the restored database lacks; nothing if there is none.
func (r *Restorer) restore(ctx context.Context, request backup.RestoreRequest, jobID string) ([]string, error) {
	release, err := r.turns.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	var lacks lacks
	request.OnWarning = func(text string) {
		r.log.Warn("the restored database lacks something", "target", request.Target, "what", text)
		lacks.add(text)
	}
	tell := request.OnRoles
	request.OnRoles = func(roles []string) {
		r.log.Info("made the roles that the restored database needs", "target", request.Target, "roles", strings.Join(roles, ", "))
		if tell != nil {
			tell(roles)
		}
	}
	exchange := r.displacements.watch(ctx, &request, jobID)
	err = exchange.end(ctx, r.restores.Restore(ctx, request))
	switch {
	case err != nil && ctx.Err() != nil && !errors.Is(err, errOutcomeUnknown):
		return nil, errInterrupted
	case err != nil:
		return nil, err
	}
	return lacks.texts(), nil
}
