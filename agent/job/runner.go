package job

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/agent/state"
)

// Config is what a Runner works with. What it is to do is a Plan.
type Config struct {
	// Backups are what the agent does with backups, made of Host: its instance, its store, its name and keys.
	Backups *backup.Parts
	Host    backup.Config
	State   *state.Folder
	Log     *slog.Logger
	Now     func() time.Time
	// Clock reports whether the clock may be gone by.
	Clock *retention.ClockGuard
	// HostPolicy says what the control plane may ask for, as it is now; after an error that is
	// nothing. Nil: the default.
	HostPolicy func() (policy.Policy, error)
	// DefaultDatabase is the one that the connection settings name.
	DefaultDatabase string
	// ImportDatabase is the one that the files of the old script are of, which do not
	// say it; empty means DefaultDatabase, as the script had it.
	ImportDatabase string
	// SecretFiles are the files with secrets, which health warns of where they are not
	// private.
	SecretFiles []SecretFile
	// LookEvery is how often Status is made again; zero means LookEvery.
	LookEvery time.Duration
	// Warnings are of the configuration, for Status.
	Warnings []string
	// Plan is the first one; Plans.Set replaces it.
	Plan Plan
}

// Runner puts together what does the agent's work. Each part is safe for
// concurrent use and guards its own fields by a mutex mu, which it does not hold
// while it calls another part.
type Runner struct {
	Backups *backup.Parts
	Host    backup.Config
	State   *state.Folder

	Plans         *Plans
	Clock         *Clock
	Inventory     *InventoryReader
	Runs          *Runs
	Restorer      *Restorer
	Displacements *Displacements
	Verifier      *Verifier
	Holds         *Holds
	Queue         *Queue
	Status        *StatusReader
	AuditLog      *AuditLog
	Recovery      *Recovery

	log       *slog.Logger
	warnings  *warnings
	recorder  *recorder
	reads     *reads
	coverage  *coverage
	admission *admission
	orphans   *orphans
	scrubber  *scrubber
	purger    *purger
	scheduler *scheduler
}

const (
	restoresAtOnce = 1
	// Each has a server of its own.
	verificationsAtOnce = 1
	sendsAtOnce         = 8
)

// errInterrupted is how a run or a job ends when its agent does.
var errInterrupted = errors.New("interrupted: the agent stopped during the run")

// New returns a Runner that does nothing yet. Parts are in the order in which they need each other.
func New(c Config) *Runner {
	r := &Runner{Backups: c.Backups, Host: c.Host, State: c.State, Plans: newPlans(c.Plan), log: c.Log}
	r.warnings = &warnings{byKey: map[string]string{}}
	r.Clock = &Clock{now: c.Now, guard: c.Clock, log: c.Log, warnings: r.warnings}
	r.recorder = &recorder{state: c.State, log: c.Log, clock: r.Clock, warnings: r.warnings}
	r.reads = &reads{underWayOf: map[string]int{}}
	r.Inventory = &InventoryReader{
		files: c.Backups.Repository, manifests: c.Backups.Repository, checks: c.State.Checks, plans: r.Plans, clock: r.Clock, warnings: r.warnings,
		keys:    &keyCheck{origins: c.Backups.Origins, manifests: c.Backups.Repository, warnings: r.warnings},
		changed: make(chan struct{}, 1),
	}
	r.coverage = &coverage{
		databasesOf: c.Host.Instance, state: c.State, log: c.Log, plans: r.Plans, inventory: r.Inventory, defaultDatabase: c.DefaultDatabase,
	}
	r.admission = &admission{instance: c.Host.InstanceName, tools: c.Host.Instance, log: c.Log, warnings: r.warnings, readPolicy: c.HostPolicy}
	r.orphans = &orphans{restores: c.Backups.Restorer, roles: c.Host.Instance, log: c.Log}
	r.AuditLog = &AuditLog{witness: c.State.Witness, log: c.Log, clock: r.Clock, warnings: r.warnings}
	r.Plans.onSet = append(r.Plans.onSet, func() {
		c.Log.Info("another plan is in force", "source", r.Plans.Get().Source)
		r.Inventory.announce() // retention may say something else
	})
	r.addFiles(c)
	r.addDatabases(c)
	r.addWork(c)
	return r
}

// addFiles adds who makes, reads and removes stored backups.
func (r *Runner) addFiles(c Config) {
	r.Runs = &Runs{
		dumps: c.Backups.Dumper, log: c.Log, clock: r.Clock, inventory: r.Inventory, coverage: r.coverage, recorder: r.recorder,
		turns: newTurnsOfRuns(r.Plans), underWay: map[string]state.Run{},
	}
	removals := &removalLock{state: c.State}
	r.Holds = &Holds{files: c.Backups.Repository, clock: r.Clock, inventory: r.Inventory, admission: r.admission, lock: removals}
	r.scrubber = &scrubber{
		files: c.Backups.Repository, checks: c.State.Checks, log: c.Log, plans: r.Plans, clock: r.Clock,
		inventory: r.Inventory, runs: r.Runs, recorder: r.recorder, warnings: r.warnings,
	}
	r.purger = &purger{
		files: c.Host.Store, records: c.State.Records, checks: c.State.Checks, log: c.Log, clock: r.Clock, inventory: r.Inventory,
		scrubber: r.scrubber, reads: r.reads, recorder: r.recorder, lock: removals, warnings: r.warnings, began: r.Clock.Now().UTC(),
	}
}

// addDatabases adds who makes and drops databases.
func (r *Runner) addDatabases(c Config) {
	r.Displacements = &Displacements{
		exchanges: c.Backups.Swapper, databases: c.Host.Instance, state: c.State, log: c.Log, plans: r.Plans, clock: r.Clock, recorder: r.recorder, warnings: r.warnings,
	}
	fetcher := &fetcher{
		instance: c.Host.InstanceName, incoming: c.Host.Store, origins: c.Backups.Origins, restores: c.Backups.Restorer,
		log: c.Log, coverage: r.coverage, admission: r.admission,
	}
	r.Restorer = &Restorer{
		files: c.Backups.Repository, fetcher: fetcher, restores: c.Backups.Restorer, databases: c.Host.Instance,
		state: c.State, log: c.Log, clock: r.Clock, recorder: r.recorder, reads: r.reads,
		admission: r.admission, orphans: r.orphans, displacements: r.Displacements, turns: atOnce(restoresAtOnce),
	}
	r.Verifier = &Verifier{
		files: c.Backups.Repository, tests: c.Backups.TestRestorer,
		state: c.State, log: c.Log, plans: r.Plans, clock: r.Clock, recorder: r.recorder, reads: r.reads, runs: r.Runs,
		inventory: r.Inventory, admission: r.admission, orphans: r.orphans, warnings: r.warnings, turns: atOnce(verificationsAtOnce),
	}
	r.Recovery = &Recovery{
		files: c.Host.Store, state: c.State, log: c.Log, clock: r.Clock, recorder: r.recorder, inventory: r.Inventory,
		orphans: r.orphans, verifier: r.Verifier, displacements: r.Displacements,
	}
}

// addWork adds who decides when something is done.
func (r *Runner) addWork(c Config) {
	workers := &workers{
		files: c.Backups.Repository, runs: r.Runs, restorer: r.Restorer, displacements: r.Displacements, verifier: r.Verifier, holds: r.Holds,
		askedRuns: newTurnsOfRuns(r.Plans), askedVerifications: atOnce(verificationsAtOnce), sends: atOnce(sendsAtOnce),
	}
	r.Queue = &Queue{
		journal: c.State.Journal, log: c.Log, clock: r.Clock, recorder: r.recorder, admission: r.admission, orphans: r.orphans,
		workers: workers, changed: make(chan struct{}, 1), accepted: map[string]backup.Progress{}, finished: map[string]bool{},
	}
	upcoming := newUpcoming(c.Plan, r.purger.began)
	r.Status = &StatusReader{
		server: c.Host.Instance, folder: c.Host.Store, encrypting: !Unencrypted(c.Host.Keys), plans: r.Plans, coverage: r.coverage, admission: r.admission, purger: r.purger, upcoming: upcoming,
		warnings: r.warnings, secretFiles: c.SecretFiles, configured: c.Warnings,
	}
	r.scheduler = &scheduler{
		log: c.Log, plans: r.Plans, clock: r.Clock, runs: r.Runs, purger: r.purger, scrubber: r.scrubber, verifier: r.Verifier,
		inventory: r.Inventory, status: r.Status, recovery: r.Recovery, orphans: r.orphans, displacements: r.Displacements,
		importer: &importer{files: c.Backups.Importer, log: c.Log, inventory: r.Inventory, warnings: r.warnings, defaultDatabase: c.DefaultDatabase, importDatabase: c.ImportDatabase},
		upcoming: upcoming, lookEvery: c.LookEvery,
	}
}

// Run keeps the schedule, retention and the status until ctx ends, and returns
// when all work has ended, that of jobs included.
func (r *Runner) Run(ctx context.Context) {
	r.scheduler.run(ctx)
	r.Wait()
}

// Wait returns when the jobs have ended that were accepted before ctx of Accept
// did.
func (r *Runner) Wait() { r.Queue.wait() }

// Responds returns once each lock that the agent's work needs was free.
func (r *Runner) Responds() {
	r.Runs.Running()
	r.Queue.Jobs()
	r.Status.Last()
	r.reads.underWay("")
	r.Inventory.forgotten()
	r.coverage.lastSeen()
	r.orphans.any()
	r.Plans.wake()
}

// notify puts a token into a channel of one slot, unless it holds one already.
func notify(changed chan struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}

// SigningKey is the public key with which the agent signs manifests; nil if it has none.
func (r *Runner) SigningKey() []byte {
	if r.Host.Signer == nil {
		return nil
	}
	key, err := r.Host.Signer.PublicKey()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.log.Error("the signing key can't be read", "error", err)
	}
	return key
}
