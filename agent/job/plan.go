package job

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pgharbor/pgharbor/agent/retention"
)

// Plan is what an agent is to do. It is a value that nobody changes: a new one
// takes its place as a whole.
type Plan struct {
	// Source is where the plan comes from, for the log.
	Source string
	// Schedule is nil if backups are made by hand only.
	Schedule *Schedule
	// Databases are those to back up; empty means all but templates.
	Databases []string
	// Concurrency is how many runs there may be at once, at least 1.
	Concurrency int
	Retention   retention.Policy
	Scrub       Scrub
	Verify      Verify
	// KeepOldDays is for how many days a database is kept that a restore has
	// replaced; 0 means until it is dropped by hand.
	KeepOldDays int
}

// covers reports whether a scheduled run by the plan backs up a database.
func (p Plan) covers(database string) bool {
	return len(p.Databases) == 0 || slices.Contains(p.Databases, database)
}

// FromEnvironment is the Source of a plan that the agent's environment asks for.
const FromEnvironment = "environment"

// Plans holds the plan in force. It is safe for concurrent use.
type Plans struct {
	current atomic.Pointer[Plan]

	mu       sync.Mutex
	replaced chan struct{} // closed by the next Set; nil while nobody waits for it
	onSet    []func()      // set before the first Set
}

func newPlans(plan Plan) *Plans {
	p := &Plans{}
	p.current.Store(&plan)
	return p
}

// Get returns the plan in force.
func (p *Plans) Get() Plan { return *p.current.Load() }

// Set puts another plan in force, and wakes those who wait by the one before.
func (p *Plans) Set(plan Plan) {
	p.current.Store(&plan)
	p.mu.Lock()
	if p.replaced != nil {
		close(p.replaced)
		p.replaced = nil
	}
	p.mu.Unlock()
	for _, hear := range p.onSet {
		hear()
	}
}

// wake is closed by the next Set. It is asked for before Get, so that no plan is
// missed in between.
func (p *Plans) wake() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.replaced == nil {
		p.replaced = make(chan struct{})
	}
	return p.replaced
}
