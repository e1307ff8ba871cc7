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

// Restorer fills databases from backups.
type Restorer struct {
	engine        *backup.Engine
	state         *state.Folder
	log           *slog.Logger
	clock         *Clock
	recorder      *recorder
	reads         *reads
	coverage      *coverage
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
	taken, err := r.engine.Instance.DatabaseExists(ctx, backup.TemporaryDatabase(id))
	if err == nil && taken {
		err = fmt.Errorf("%w: there is a database %q already, which a restore by this id would drop", errSpec, backup.TemporaryDatabase(id))
	}
	return err
}

// restoreRequest finds the stored backup of a spec, or fetches another instance's,
// and reports who made it. It is in use until done.
func (r *Restorer) restoreRequest(ctx context.Context, task *task, spec RestoreSpec) (request backup.RestoreRequest, origin backup.Origin, done func(), err error) {
	if spec.Source != nil {
		return r.fetchedRequest(ctx, task, spec)
	}
	stored, err := r.engine.Find(spec.BackupID)
	if err != nil {
		return request, origin, nil, err
	}
	origin, err = r.engine.OriginOf(stored)
	if err != nil {
		return request, origin, nil, err
	}
	return backup.RestoreRequest{
		From: r.engine.SourceOf(stored), Manifest: &stored.Manifest, Target: spec.Target, Replace: spec.Replace,
		WithRoles: spec.WithRoles, TrustContent: spec.TrustContent,
	}, origin, r.reads.begin(stored.ID), nil
}

// testRestoreCheck is what the newest test restore of a stored backup foretells, in a list; an
// empty one if nothing is known of the file.
func (r *Restorer) testRestoreCheck(request backup.RestoreRequest) []backup.Check {
	if !state.ValidID(request.Manifest.ID) {
		return nil
	}
	known, err := r.state.Checks.Of(request.Manifest.ID)
	if err != nil {
		r.log.Error("what is known of a backup can't be read", "backup", request.Manifest.ID, "error", err)
		return nil
	}
	return []backup.Check{backup.ProofCheck(known.TestRestore, request.TrustContent)}
}

// Preview runs the preflight of a restore of a file of some origin, of which somebody may say more.
func (r *Restorer) Preview(ctx context.Context, request backup.RestoreRequest, origin backup.Origin, consent Consent) []backup.Check {
	var err error
	request.Confined, err = r.admission.admit(ctx, origin, consent)
	checks := append(r.engine.Preview(ctx, request), backup.OriginCheck(origin, request.Confined, err))
	if request.Manifest == nil || !origin.Ours() {
		return checks // another's manifest may name the passphrase MAC of one of ours
	}
	return append(checks, r.testRestoreCheck(request)...)
}

// RestoreFile restores a file by hand, without a job, and returns the restore's id and what the
// restored database lacks. A record of it makes sure that its temporary database goes, whatever
// happens. By its origin, and what somebody says of that, the load is sandboxed or not.
func (r *Restorer) RestoreFile(ctx context.Context, request backup.RestoreRequest, origin backup.Origin, consent Consent) (id string, lacks []string, err error) {
	if request.Confined, err = r.admission.admit(ctx, origin, consent); err != nil {
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
	err = exchange.end(ctx, r.engine.Restore(ctx, request))
	switch {
	case err != nil && ctx.Err() != nil && !errors.Is(err, errOutcomeUnknown):
		return nil, errInterrupted
	case err != nil:
		return nil, err
	}
	return lacks.texts(), nil
}
