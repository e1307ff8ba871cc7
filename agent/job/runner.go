package job

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/agent/state"
)

// Config is what a Runner works with and by which rules.
type Config struct {
	Engine *backup.Engine
	State  *state.Folder
	Log    *slog.Logger
	Now    func() time.Time

	// Schedule is nil where backups are made by hand only.
	Schedule *Schedule
	// Databases are those to back up; empty means all but templates.
	Databases []string
	// DefaultDatabase is the one that the connection settings name.
	DefaultDatabase string
	// AdoptDatabase is the one that the files of the old script are of, which do not
	// say it; empty means DefaultDatabase, as the script had it.
	AdoptDatabase string
	// Concurrency is how many runs there may be at once, at least 1.
	Concurrency int
	Policy      retention.Policy
	Scrub       Scrub
	Verify      Verify
	// SecretFiles are the files with secrets, which health warns of where they are not
	// private.
	SecretFiles []SecretFile
	// KeepOldDays is for how many days a database is kept that a restore has
	// replaced; 0 means until it is dropped by hand.
	KeepOldDays int
	// HostPolicy says what the control plane may ask for, as it is now; after an error that is nothing. Nil: the default.
	HostPolicy func() (policy.Policy, error)
	// Clock says whether the clock may be gone by.
	Clock *retention.ClockGuard
	// LookEvery is how often Status is made anew; zero means LookEvery.
	LookEvery time.Duration
	// Warnings are of the configuration, for Status.
	Warnings []string
}

// Runner runs the agent's work. It is safe for concurrent use.
type Runner struct {
	Config

	slots        chan struct{} // of runs
	askedSlots   chan struct{} // of jobs that back up
	askedProofs  chan struct{} // of jobs that verify
	restoreSlots chan struct{}
	sendSlots    chan struct{}
	verifySlots  chan struct{}

	began       time.Time
	jobs        sync.WaitGroup
	jobsChanged chan struct{}
	purging     sync.Mutex
	removing    sync.Mutex    // a backup is being removed, held or released
	changed     chan struct{} // rings when the inventory has

	mu         sync.Mutex
	runs       map[string]state.Run // under way
	accepted   map[string]*current  // jobs under way
	finished   map[string]bool      // jobs that ended in this process's life
	inUse      map[string]int       // backups that are being read
	status     Status
	troubles   map[string]string // by topic, for the status's warnings
	nextRun    time.Time
	nextVerify time.Time
	lastPurge  time.Time
	inventory  cachedInventory
	leftovers  []leftover
}

const (
	restoresAtOnce = 1
	// Each has a server of its own.
	verificationsAtOnce = 1
	sendsAtOnce         = 8
)

// errInterrupted is how a run or a job ends when its agent does.
var errInterrupted = errors.New("interrupted: the agent stopped during the run")

// New returns a Runner that does nothing yet.
func New(config Config) *Runner {
	r := &Runner{
		Config:       config,
		slots:        make(chan struct{}, max(config.Concurrency, 1)),
		askedSlots:   make(chan struct{}, max(config.Concurrency, 1)),
		askedProofs:  make(chan struct{}, verificationsAtOnce),
		restoreSlots: make(chan struct{}, restoresAtOnce),
		sendSlots:    make(chan struct{}, sendsAtOnce),
		verifySlots:  make(chan struct{}, verificationsAtOnce),
		jobsChanged:  make(chan struct{}, 1),
		changed:      make(chan struct{}, 1),
		runs:         map[string]state.Run{},
		accepted:     map[string]*current{},
		finished:     map[string]bool{},
		inUse:        map[string]int{},
		troubles:     map[string]string{},
		began:        config.Now().UTC(),
	}
	if r.Schedule != nil {
		r.nextRun = r.Schedule.Next(r.began)
	}
	return r
}

// Run keeps the schedule, retention and the status until ctx ends, and returns
// when all work has ended, that of jobs included.
func (r *Runner) Run(ctx context.Context) {
	var loops sync.WaitGroup
	if r.Schedule != nil {
		loops.Go(func() { r.keepSchedule(ctx) })
	}
	loops.Go(func() { r.keepTidy(ctx) })
	loops.Go(func() { r.keepStatus(ctx) })
	if r.Verify.Schedule != nil {
		loops.Go(func() { r.keepProven(ctx) })
	}
	if r.Scrub.Every > 0 {
		loops.Go(func() { r.keepScrubbed(ctx) })
	}
	loops.Wait()
	r.Wait()
}

// Wait returns when the jobs have ended that were accepted before ctx of Accept
// did.
func (r *Runner) Wait() { r.jobs.Wait() }

// Running returns the runs that are under way.
func (r *Runner) Running() []state.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	var runs []state.Run
	for _, run := range r.runs {
		runs = append(runs, run)
	}
	return runs
}

// trouble notes what an operator should know about a topic, until it is noted as
// "", and says whether that is new.
func (r *Runner) trouble(topic, text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.troubles[topic] == text {
		return false
	}
	if text == "" {
		delete(r.troubles, topic)
	} else {
		r.troubles[topic] = text
	}
	return true
}

// finish ends a piece of work whose record may be missing, because it could not
// be written. What can't be journaled is logged and said in the status; a record
// that stays is taken up at the next start.
func (r *Runner) finish(work *state.Work, entries ...state.Entry) {
	for _, entry := range entries {
		if ended, ok := entry.Ended(); ok {
			r.remember(ended)
		}
	}
	var err error
	if work != nil {
		err = work.Finish(entries...)
	} else {
		for _, entry := range entries {
			err = errors.Join(err, r.State.Journal.Append(entry))
		}
	}
	if err == nil {
		r.trouble(topicJournal, "")
		return
	}
	r.Log.Error("what ended could not be journaled; the control plane learns of it later, or not at all", "error", err)
	r.trouble(topicJournal, "the journal in the state folder can't be written: "+err.Error())
}

// begin records work that is about to begin. Where that can't be, the work goes
// on without: a full state folder is no reason for having no backup.
func (r *Runner) begin(record state.Record) *state.Work {
	work, err := r.State.Records.Begin(record)
	if err != nil {
		r.Log.Error("work begins without a record; were it interrupted, nobody would hear of it", "error", err)
		r.trouble(topicJournal, "the state folder can't be written: "+err.Error())
		return nil
	}
	return work
}

// acquire takes a slot; it reports whether it got one before ctx ended.
func acquire(ctx context.Context, slots chan struct{}) (release func(), err error) {
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, errInterrupted
	}
}

// ring puts a token in a doorbell, where there may be one already.
func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

func newID() string { return strings.ToLower(rand.Text())[:16] }

// SigningKey is the public key with which the agent signs manifests; nil where it has none.
func (r *Runner) SigningKey() []byte {
	if r.Engine.Signer == nil {
		return nil
	}
	key, err := r.Engine.Signer.PublicKey()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.Log.Error("the signing key can't be read", "error", err)
	}
	return key
}
