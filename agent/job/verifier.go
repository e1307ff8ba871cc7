package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/throwaway"
	"github.com/pgharbor/pgharbor/internal/pause"
	"github.com/pgharbor/pgharbor/internal/random"
	"github.com/pgharbor/pgharbor/internal/subject"
)

// Verify says how backups are restored to prove that they restore.
type Verify struct {
	// Schedule is when the newest backup of each database is; nil: by hand only.
	Schedule *Schedule
	// Dir is the folder in which throwaway servers live; empty means one in the
	// state folder or, as root, whose server is another user's, the system's for
	// temporary files.
	Dir string
	// Bin is the folder of a server's programs; empty means to look for them.
	Bin string
	// InInstance allows a temporary database of the instance if no server's programs are available.
	InInstance bool
	// WithoutCage lets throwaway servers run with nothing that holds them.
	WithoutCage bool
	// Timeout bounds one test restore; 0: it is not bounded.
	Timeout time.Duration
}

// errTooSlow is how a test restore ends that takes too long.
var errTooSlow = errors.New("the test restore took longer than BACKUP_VERIFY_TIMEOUT allows")

// testRestoreError is the job's error if the backup did not come back.
type testRestoreError struct{ testRestore backup.Proof }

func (e testRestoreError) Error() string {
	return "the test restore failed: " + strings.Join(e.testRestore.Differences, "; ")
}

// Unwrap makes it the failure "integrity", whatever the cause.
func (e testRestoreError) Unwrap() []error {
	if e.testRestore.Cause == nil {
		return []error{backup.ErrDamaged}
	}
	return []error{backup.ErrDamaged, e.testRestore.Cause}
}

// Verifier puts backups to the test of a restore.
type Verifier struct {
	engine    *backup.Engine
	state     *state.Folder
	log       *slog.Logger
	plans     *Plans
	clock     *Clock
	recorder  *recorder
	reads     *reads
	runs      *Runs
	inventory *InventoryReader
	admission *admission
	orphans   *orphans
	warnings  *warnings
	turns     *turns
}

// VerifyBackup restores a stored backup only for the test, remembers how that ended and journals
// it. A backup that does not come back is an error too, of the failure "integrity", and the Proof
// says why.
func (v *Verifier) VerifyBackup(ctx context.Context, id string, onProgress func(backup.Progress)) (backup.Proof, error) {
	stored, err := v.findToVerify(id)
	if err != nil {
		return backup.Proof{}, err
	}
	begun := v.clock.Now().UTC()
	testRestore, err := v.testRestore(ctx, stored, onProgress)
	v.recorder.rememberEnd(state.Ended{Kind: "verify", BackupID: stored.ID, Database: stored.Database, StartedAt: begun}, err)
	return testRestore, err
}

func (v *Verifier) findToVerify(id string) (backup.Stored, error) {
	stored, err := v.engine.Find(id)
	if err == nil && stored.State == backup.StateMissing {
		err = fmt.Errorf("%w: the file of %s is gone", backup.ErrNotFound, id)
	}
	return stored, err
}

// testRestore is VerifyBackup, without a word in the history.
func (v *Verifier) testRestore(ctx context.Context, stored backup.Stored, onProgress func(backup.Progress)) (backup.Proof, error) {
	defer v.reads.begin(stored.ID)()
	testRestore, err := v.verifyStored(ctx, stored, onProgress)
	if err == nil {
		v.recordTestRestore(ctx, stored, testRestore)
	}
	if err == nil && testRestore.State == backup.ProofFailed {
		err = testRestoreError{testRestore}
	}
	return testRestore, err
}

func (v *Verifier) verifyStored(ctx context.Context, stored backup.Stored, onProgress func(backup.Progress)) (backup.Proof, error) {
	origin, err := v.engine.OriginOf(stored)
	if backup.Failure(err) == backup.FailureIntegrity { // no restore would take it
		return backup.Disproof(err, v.clock.Now()), nil
	}
	if err != nil {
		return backup.Proof{}, err
	}
	return v.restoreForTest(ctx, origin, "", backup.ProveRequest{
		From: v.engine.SourceOf(stored), Manifest: &stored.Manifest, OnProgress: onProgress,
	})
}

// VerifyFile is VerifyBackup for a file that need not be in the backup folder; manifest is nil if
// it has none. Nothing of it is remembered. By its origin, and what somebody says of that, the load
// is sandboxed or not.
func (v *Verifier) VerifyFile(ctx context.Context, from backup.Source, manifest *backup.Manifest, origin backup.Origin, consent Consent) (backup.Proof, error) {
	begun := v.clock.Now().UTC()
	testRestore, err := v.restoreForTest(ctx, origin, consent, backup.ProveRequest{From: from, Manifest: manifest})
	if err == nil && testRestore.State == backup.ProofFailed {
		err = testRestoreError{testRestore}
	}
	ended := state.Ended{Kind: "verify", StartedAt: begun}
	if manifest != nil && origin.Ours() { // what else a manifest says, may be another's
		ended.BackupID, ended.Database = manifest.ID, manifest.Database
	}
	v.recorder.rememberEnd(ended, err)
	return testRestore, err
}

// testRestore has a record of what it makes, so that a crash leaves nothing for long.
func (v *Verifier) restoreForTest(ctx context.Context, origin backup.Origin, consent Consent, request backup.ProveRequest) (_ backup.Proof, err error) {
	if request.Confined, err = v.admission.admit(ctx, origin, consent); err != nil {
		return backup.Proof{}, err
	}
	release, err := v.turns.take(ctx)
	if err != nil {
		return backup.Proof{}, err
	}
	defer release()
	if request.Dir, err = v.verifyDir(); err != nil {
		return backup.Proof{}, err
	}
	by := v.plans.Get().Verify
	request.ID, request.Bin, request.InInstance = random.ID(), by.Bin, by.InInstance
	request.WithoutCage = by.WithoutCage
	record := state.Record{ID: "verify-" + request.ID, Throwaway: request.ThrowawayDir()}
	if request.InInstance {
		record.Restore = &state.Restore{ID: request.ID}
	}
	work := v.recorder.begin(record)
	limited, cancel := ctx, func() {}
	if by.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, by.Timeout)
	}
	defer cancel()
	testRestore, err := v.engine.Prove(limited, request)
	if err != nil && work != nil {
		v.removeThrowaway(ctx, work) // what could not be removed at once, is now or later
	} else {
		v.recorder.finish(work)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		err = errInterrupted
	case err != nil && limited.Err() != nil:
		err = fmt.Errorf("%w: %w", errTooSlow, err)
	}
	return testRestore, err
}

// verifyDir returns the folder for throwaway servers, which their user can reach.
func (v *Verifier) verifyDir() (string, error) {
	dir := v.plans.Get().Verify.Dir
	switch {
	case dir == "" && os.Geteuid() == 0:
		return os.TempDir(), nil
	case dir == "":
		dir = filepath.Join(v.state.Dir(), "verify")
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	return dir, err
}

// removeThrowaway removes what a test restore left, and keeps its record for the next start if that
// can't be.
func (v *Verifier) removeThrowaway(ctx context.Context, work *state.Work) {
	if err := throwaway.Remove(work.Throwaway); err != nil {
		v.log.Error("what a test restore left could not be removed; the next start tries again", "folder", work.Throwaway, "error", err)
		if err := work.Leave(); err != nil {
			v.log.Error("a record of work could not be left", "error", err)
		}
		return
	}
	if v.orphans.cleanUp(ctx, work) { // of the instance, if it was used
		v.recorder.finish(work)
	}
}

// recordTestRestore remembers and journals how a test restore of a stored backup ended. It has read
// the whole file, so it is a scrub too, once the globals file is read as well.
func (v *Verifier) recordTestRestore(ctx context.Context, stored backup.Stored, testRestore backup.Proof) {
	log := v.log.With("backup", stored.ID, "database", stored.Database, "server", testRestore.ServerVersion, "took", testRestore.Took, "cage", testRestore.Cage)
	if testRestore.State == backup.ProofFailed {
		log.Error("the test restore of a backup failed", "differences", strings.Join(testRestore.Differences, "; "), "words", postgres.Words(testRestore.Cause))
	} else {
		log.Info("a test restore has succeeded", "tables", testRestore.Tables, "rows", testRestore.Rows)
	}
	if testRestore.Refuses != "" {
		log.Warn("a restore into a live server will refuse a backup without --trust-content", "refuses", testRestore.Refuses)
	}
	damage, scrubErr := "", error(nil)
	if testRestore.State == backup.ProofSucceeded {
		damage, scrubErr = v.engine.ScrubGlobals(ctx, stored, nil)
	}
	scrubbed := testRestore.State == backup.ProofSucceeded && scrubErr == nil
	if damage != "" {
		log.Error("a backup is damaged", "file", stored.Location.File, "damage", damage)
	}
	err := v.state.Checks.Update(stored.ID, func(c *state.CheckState) {
		c.TestRestore = &testRestore
		if scrubbed {
			c.ScrubbedAt, c.Damage = testRestore.FinishedAt, damage
		}
	})
	if err != nil {
		v.log.Error("how a test restore ended can't be remembered", "backup", stored.ID, "error", err)
		v.warnings.set(warnJournal, "the state folder can't be written: "+err.Error())
	}
	entries := []state.Entry{state.TestRestoreEntry(state.TestRestoreResult{BackupID: stored.ID, TestRestore: testRestore})}
	if scrubbed {
		entries = append(entries, state.ScrubEntry(state.ScrubResult{BackupID: stored.ID, ScrubbedAt: testRestore.FinishedAt, Damage: damage}))
	}
	v.inventory.announce() // before anybody can learn of it, and be told an inventory without it
	v.recorder.finish(nil, entries...)
}

// verifyNewest restores the newest backup of each database, one after the other,
// each once no backup is being made.
func (v *Verifier) verifyNewest(ctx context.Context) {
	var unproven error
	for _, b := range newestOfEach(v.inventory.read().Backups) {
		for len(v.runs.Running()) > 0 {
			if !pause.For(ctx, yieldStep) {
				return
			}
		}
		_, err := v.VerifyBackup(ctx, b.ID, nil)
		if ctx.Err() != nil {
			return
		}
		var failedTestRestore testRestoreError
		if err != nil && !errors.As(err, &failedTestRestore) {
			v.log.Error("a backup could not be put to the test", "backup", b.ID, "database", b.Database, "error", err)
			unproven = errors.Join(unproven, fmt.Errorf("database %q: %w", b.Database, err))
		}
	}
	v.warnings.set(warnVerify, sentence("backups could not be put to the test", unproven))
}

// newestOfEach returns the newest backup of each series that has its file and can be
// restored by this agent, by the databases' names.
func newestOfEach(backups []Backup) []Backup {
	newest := map[subject.Series]Backup{}
	for _, b := range backups { // oldest first
		if b.Complete && b.State != backup.StateMissing && b.Restorable() == nil {
			newest[b.Series()] = b
		}
	}
	var all []Backup
	for _, b := range newest {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b Backup) int { return cmp.Compare(a.Database, b.Database) })
	return all
}
