package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/load"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/scan"
)

// plan says how a database is built.
type plan struct {
	manifest  *Manifest // nil where the file has none
	replaces  string    // the database whose place it takes, and whose tablespace it gets; "" is none
	sandboxed bool      // nobody knows who made the file
	trusted   bool      // all of it is loaded with the rights of the agent
}

// built is a database that was filled, under its temporary name. Its release must be called.
type built struct {
	name     string
	tables   []scan.TableRows         // of the dump
	counted  bool                     // the load counted the rows itself
	loaded   map[postgres.Table]int64 // the rows that the server took, where it did
	instance *postgres.Instance       // in whose sessions code of the database may run
	jobs     int
	sandbox  *postgres.Sandboxed // nil where it is the instance's own role
}

// build makes the database and loads the dump into it. The dump is hashed again on its way: should it not be what was
// verified, the tool is killed before it could commit.
func (r *Restorer) build(ctx context.Context, name string, from content, by plan, to listener) (*built, error) {
	// A restore of the same id may have died before.
	if err := errors.Join(r.instance.DropDatabase(ctx, name), dropOwnRoles(ctx, r.instance, name)); err != nil {
		return nil, err
	}
	like, err := likeness(ctx, r.instance, by.manifest, from.head)
	if err != nil {
		return nil, err
	}
	if by.replaces != "" {
		if like.Tablespace, err = r.instance.Tablespace(ctx, by.replaces); err != nil {
			return nil, err
		}
	}
	if err := r.instance.CreateDatabase(ctx, name, like); err != nil {
		return nil, err
	}
	progress := to.begin(PhaseRestore, from.plainSize)
	db := &built{name: name, tables: from.tables, instance: r.instance, jobs: r.loader.jobs}
	switch {
	case by.sandboxed:
		err = r.loader.loadSandboxed(ctx, db, from, progress)
	case by.trusted:
		err = r.loader.loadTrusted(ctx, name, like, from, progress)
	default:
		db.counted = true
		db.loaded, err = r.loader.loadGuarded(ctx, name, from, progress, to.warn)
	}
	return db, err
}

// loadTrusted loads a dump with the rights of the agent, because somebody trusts it.
func (l *loader) loadTrusted(ctx context.Context, name string, like postgres.Database, from content, progress *reporter) error {
	takeBack, err := load.LendPublic(ctx, l.instance, name, from.kept.owner(), from.definitions)
	if err != nil {
		return err
	}
	if err := l.load(ctx, name, like, from, progress); err != nil {
		return err // the database goes, and what was lent with it
	}
	return takeBack(ctx)
}

// compare holds the rows of the database against those that went by in the dump.
func (b *built) compare(ctx context.Context, to listener) error {
	progress := to.begin(PhaseCompare, 0).of(len(b.tables))
	if b.counted {
		return compareLoaded(b.loaded, b.tables, progress)
	}
	return compareRows(ctx, b.instance, b.name, b.tables, progress)
}

// analyze collects statistics. What the planner knows is no part of what was backed up, and the server makes it again by
// itself: that it failed is a warning.
func (b *built) analyze(ctx context.Context, to listener) error {
	if b.sandbox != nil {
		return b.instance.Analyze(ctx, b.name, b.jobs)
	}
	to.begin(PhaseAnalyze, 0)
	if err := b.instance.Analyze(ctx, b.name, b.jobs); err != nil {
		if ctx.Err() != nil {
			return err
		}
		to.warn("statistics, in full: " + err.Error() + "; run ANALYZE in it")
	}
	return nil
}

// release ends the sessions of the sandboxed role, where there is one, and says so where that may be why it failed. It
// returns how the building ended.
func (b *built) release(ctx context.Context, err error) error {
	if b == nil || b.sandbox == nil {
		return err
	}
	if tool := (*postgres.ToolError)(nil); errors.As(err, &tool) {
		err = fmt.Errorf("%w: %w", ErrSandboxed, err)
	}
	if closeErr := b.sandbox.Close(context.WithoutCancel(ctx)); err == nil {
		err = closeErr
	}
	return err
}
