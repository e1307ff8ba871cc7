package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/internal/random"
)

// Outcome is how a run ended.
type Outcome struct {
	Run      state.Run
	Manifest *backup.Manifest // if it succeeded
	Err      error            // if it failed; Run.Error has its text
}

// Request asks for backups.
type Request struct {
	Databases  []string // empty means all that the agent covers
	Trigger    string   // state.TriggerSchedule or state.TriggerManual
	JobID      string
	OnProgress func(backup.Progress) // may be nil; called from one goroutine at a time
}

// dumper makes one backup.
type dumper interface {
	Backup(context.Context, backup.BackupRequest) (backup.Manifest, error)
}

// Runs makes backups, and knows which are under way.
type Runs struct {
	dumps     dumper
	log       *slog.Logger
	clock     *Clock
	inventory *InventoryReader
	coverage  *coverage
	recorder  *recorder
	turns     *turns

	mu       sync.Mutex
	underWay map[string]state.Run
}

// newTurnsOfRuns are as many as the plan in force says.
func newTurnsOfRuns(plans *Plans) *turns {
	t := &turns{limit: func() int { return max(plans.Get().Concurrency, 1) }}
	plans.onSet = append(plans.onSet, t.grant)
	return t
}

// BackUp makes a run of each database, as many at once as the configuration
// allows, and returns when all have ended. Each is journaled. The outcomes are in
// the order of the databases; there is at least one.
func (r *Runs) BackUp(ctx context.Context, request Request) []Outcome {
	databases := request.Databases
	if len(databases) == 0 {
		databases = r.coverage.covered(ctx)
	}
	outcomes := make([]Outcome, len(databases))
	report := serialised(request.OnProgress)
	var runs sync.WaitGroup
	for n, database := range databases {
		release, err := r.turns.take(ctx)
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
func (r *Runs) run(ctx context.Context, request Request, database string, onProgress func(backup.Progress)) Outcome {
	run := state.Run{
		ID: random.ID(), Database: database, Trigger: request.Trigger, JobID: request.JobID,
		State: state.StateRunning, StartedAt: r.clock.Now().UTC(),
	}
	log := r.log.With("database", database, "run", run.ID)
	work := r.recorder.begin(state.Record{ID: run.ID, Run: &run})
	r.setRunning(run, true)
	log.Info("backup begins", "trigger", run.Trigger)

	manifest, err := r.dumps.Backup(ctx, backup.BackupRequest{
		RunID: run.ID, Database: database, Trigger: run.Trigger, ForOthers: request.JobID != "", OnProgress: onProgress,
		OnWords: func(words string) { run.Words = words },
	})
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	run.FinishedAt = r.clock.Now().UTC()
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
	r.inventory.forget()
	r.setRunning(run, false)
	r.recorder.finish(work, state.RunEntry(run, outcome.Manifest))
	return outcome
}

// notStarted journals a run that was due and never got its turn.
func (r *Runs) notStarted(request Request, database string, err error) Outcome {
	now := r.clock.Now().UTC()
	run := state.Run{
		ID: random.ID(), Database: database, Trigger: request.Trigger, JobID: request.JobID,
		State: state.StateFailed, StartedAt: now, FinishedAt: now, Error: err.Error(), Words: postgres.Words(err),
	}
	r.recorder.finish(nil, state.RunEntry(run, nil))
	return Outcome{Run: run, Err: err}
}

// Running returns the runs that are under way.
func (r *Runs) Running() []state.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	var runs []state.Run
	for _, run := range r.underWay {
		runs = append(runs, run)
	}
	return runs
}

func (r *Runs) setRunning(run state.Run, running bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if running {
		r.underWay[run.ID] = run
	} else {
		delete(r.underWay, run.ID)
	}
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

// Failures sums up what failed of several runs; nil if nothing did.
func Failures(outcomes []Outcome) error {
	var failed []error
	var texts []string
	for _, outcome := range outcomes {
		if outcome.Err != nil {
			failed = append(failed, outcome.Err)
			texts = append(texts, fmt.Sprintf("%q: %v", outcome.Run.Database, outcome.Err))
		}
	}
	if len(outcomes) == 1 || len(failed) == 0 {
		return errors.Join(failed...)
	}
	return fmt.Errorf("%d of %d databases failed: %s", len(failed), len(outcomes), strings.Join(texts, "; "))
}
