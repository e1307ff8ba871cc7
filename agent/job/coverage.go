package job

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
)

// listed are the databases of the instance.
type listed interface {
	Databases(context.Context) ([]postgres.Database, error)
}

// coverage knows which databases the instance has, and which of them are backed
// up.
type coverage struct {
	databasesOf     listed
	state           *state.Folder
	log             *slog.Logger
	plans           *Plans
	inventory       *InventoryReader
	defaultDatabase string

	mu   sync.Mutex
	seen []Database // by the last look at the instance
}

// see keeps what a look at the instance found.
func (c *coverage) see(databases []Database) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = databases
}

func (c *coverage) lastSeen() []Database {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// covered lists the databases that a scheduled run backs up. If the server can't say which there
// are, they are those last known, so that each has its failed run.
func (c *coverage) covered(ctx context.Context) []string {
	if named := c.plans.Get().Databases; len(named) > 0 {
		return named
	}
	found, err := c.databases(ctx)
	var names []string
	for _, database := range found {
		names = append(names, database.Name)
	}
	if err != nil {
		c.log.Warn("the server does not say which databases it has; those last known are tried", "error", err)
		names = c.lastKnown()
	}
	if len(names) == 0 {
		// A server with nothing in it, or an unknown one: better a failed run
		// than silence.
		names = []string{c.defaultDatabase}
	}
	return names
}

func (c *coverage) lastKnown() []string {
	var names []string
	for _, database := range c.lastSeen() {
		names = append(names, database.Name)
	}
	if len(names) > 0 {
		return names
	}
	inventory := c.inventory.Current()
	for _, b := range inventory.Backups {
		if name, ok := b.Series().Subject.Database(); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// assumed are the databases that the instance has for all that is known while it
// can't be asked.
func (c *coverage) assumed() []Database {
	plan := c.plans.Get()
	names := plan.Databases
	if len(names) == 0 {
		names = c.lastKnown()
	}
	var databases []Database
	for _, name := range names {
		databases = append(databases, Database{Name: name, Covered: plan.Schedule != nil})
	}
	return databases
}

// databases lists those of the instance that are databases of their own: none
// that a restore is filling, nor one that is kept of a restore. The name alone makes
// no database one of those: anybody could hide theirs from health.
func (c *coverage) databases(ctx context.Context) ([]postgres.Database, error) {
	before := c.restoring() // and after: some begin and some end meanwhile
	found, err := c.databasesOf.Databases(ctx)
	if err != nil {
		return nil, err
	}
	filled := append(before, c.restoring()...)
	kept, err := c.state.Displaced.All()
	if err != nil {
		c.log.Error("not all records of what restores replaced can be read", "error", err)
	}
	return slices.DeleteFunc(found, func(d postgres.Database) bool {
		return slices.Contains(filled, d.Name) || slices.ContainsFunc(kept, func(k state.DisplacedDatabase) bool { return d.Name == k.OldName || d.Name == k.NewName })
	}), nil
}

// restoring are the databases that restores fill.
func (c *coverage) restoring() (names []string) {
	ids, err := c.state.Records.Restoring()
	if err != nil {
		c.log.Error("not all records of restores under way can be read", "error", err)
	}
	for _, id := range ids {
		names = append(names, backup.TemporaryDatabase(id))
	}
	return names
}

// nextRunBytes is about what the next scheduled run will store: the newest backup of each database
// that it covers.
func (c *coverage) nextRunBytes() (total int64) {
	plan := c.plans.Get()
	if plan.Schedule == nil {
		return 0
	}
	for _, b := range newestOfEach(c.inventory.Current().Backups) {
		if plan.covers(b.Database) {
			total = min(total+max(b.SizeBytes, 0), math.MaxInt64/4)
		}
	}
	return total
}
