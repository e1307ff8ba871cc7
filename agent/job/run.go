package job

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
)

// Outcome is how a run ended.
type Outcome struct {
	Run      state.Run
	Manifest *backup.Manifest // where it succeeded
	Err      error            // where it failed; Run.Error has its text
}

// Request asks for backups.
type Request struct {
	Databases  []string // empty means all that the agent covers
	Trigger    string   // state.TriggerSchedule or state.TriggerManual
	JobID      string
	OnProgress func(backup.Progress) // may be nil; called from one goroutine at a time
}

// BackUp makes a run of each database, as many at once as the configuration
// allows, and returns when all have ended. Each is journaled. The outcomes are in
// the order of the databases; there is at least one.
func (r *Runner) BackUp(ctx context.Context, request Request) []Outcome {
	databases := request.Databases
	if len(databases) == 0 {
		databases = r.covered(ctx)
	}
	outcomes := make([]Outcome, len(databases))
	report := serialised(request.OnProgress)
	var runs sync.WaitGroup
	for n, database := range databases {
		release, err := acquire(ctx, r.slots)
		if err != nil {
			outcomes[n] = r.notStarted(request, database, err)
			continue
		}
		runs.Go(func() {
			defer release()
			outcomes[n] = r.run(ctx, request, database, func(p backup.Progress) {
				if len(databases) > 1 {
					p.Phase = fmt.Sprintf("%s %s (%d of %d)", p.Phase, database, n+1, len(databases))
				}
				report(p)
			})
		})
	}
	runs.Wait()
	return outcomes
}

// run is one attempt, from its record to the journal.
func (r *Runner) run(ctx context.Context, request Request, database string, onProgress func(backup.Progress)) Outcome {
	run := state.Run{
		ID: newID(), Database: database, Trigger: request.Trigger, JobID: request.JobID,
		State: state.StateRunning, StartedAt: r.Now().UTC(),
	}
	log := r.Log.With("database", database, "run", run.ID)
	work := r.begin(state.Record{ID: run.ID, Run: &run})
	r.setRunning(run, true)
	log.Info("backup begins", "trigger", run.Trigger)

	manifest, err := r.Engine.Backup(ctx, backup.BackupRequest{
		RunID: run.ID, Database: database, Trigger: run.Trigger, ForOthers: request.JobID != "", OnProgress: onProgress,
		OnWords: func(words string) { run.Words = words },
	})
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	run.FinishedAt = r.Now().UTC()
	outcome := Outcome{Err: err}
	if err != nil {
		run.State, run.Error, run.Words = state.StateFailed, err.Error(), postgres.Words(err)
		log.Error("backup failed", "error", err)
	} else {
		run.Succeed(manifest)
		outcome.Manifest = &manifest
		log.Info("backup succeeded", "backup", manifest.ID, "file", manifest.Filename, "bytes", manifest.SizeBytes,
			"duration", run.FinishedAt.Sub(run.StartedAt), "warnings", len(manifest.Warnings), "words", run.Words)
	}
	outcome.Run = run
	r.forgetInventory()
	r.setRunning(run, false)
	r.finish(work, state.RunEntry(run, outcome.Manifest))
	return outcome
}

// notStarted journals a run that was due and never got its turn.
func (r *Runner) notStarted(request Request, database string, err error) Outcome {
	now := r.Now().UTC()
	run := state.Run{
		ID: newID(), Database: database, Trigger: request.Trigger, JobID: request.JobID,
		State: state.StateFailed, StartedAt: now, FinishedAt: now, Error: err.Error(), Words: postgres.Words(err),
	}
	r.finish(nil, state.RunEntry(run, nil))
	return Outcome{Run: run, Err: err}
}

func (r *Runner) setRunning(run state.Run, running bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if running {
		r.runs[run.ID] = run
	} else {
		delete(r.runs, run.ID)
	}
}

// covered lists the databases that a round backs up. Where the server can't say
// which there are, they are those last known, so that each has its failed run.
func (r *Runner) covered(ctx context.Context) []string {
	if len(r.Databases) > 0 {
		return r.Databases
	}
	found, err := r.databases(ctx)
	var names []string
	for _, database := range found {
		names = append(names, database.Name)
	}
	if err != nil {
		r.Log.Warn("the server does not say which databases it has; those last known are tried", "error", err)
		names = r.lastKnown()
	}
	if len(names) == 0 {
		// A server with nothing in it, or an unknown one: better a failed run
		// than silence.
		names = []string{r.DefaultDatabase}
	}
	return names
}

func (r *Runner) lastKnown() []string {
	var names []string
	for _, database := range r.Status().Databases {
		names = append(names, database.Name)
	}
	if len(names) > 0 {
		return names
	}
	inventory := r.Inventory()
	for _, b := range inventory.Backups {
		if b.Database != "" && !slices.Contains(names, b.Database) {
			names = append(names, b.Database)
		}
	}
	return names
}

// serialised makes a callback that several goroutines may call.
func serialised(onProgress func(backup.Progress)) func(backup.Progress) {
	if onProgress == nil {
		return func(backup.Progress) {}
	}
	var mu sync.Mutex
	return func(p backup.Progress) {
		mu.Lock()
		defer mu.Unlock()
		onProgress(p)
	}
}
