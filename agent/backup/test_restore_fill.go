package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// maxLacking bounds how often a load begins again with one more role or tablespace.
const maxLacking = 200

// addRoles makes the roles that the dump may name, as they were where that was kept with it; else by their names alone, those
// that the instance has. Where that can't be asked, those that turn out to be missing are made one by one.
func (p *testRun) addRoles(ctx context.Context) error {
	var roles []string
	if kept := p.kept(); kept != nil {
		if err := p.server.MakeRolesAlike(ctx, kept.Script); err != nil {
			return fmt.Errorf("the roles kept with the backup: %w", err)
		}
	} else if m := p.req.Manifest; m != nil && m.Globals != nil {
		roles = m.Globals.Roles
	} else {
		roles, _ = p.live.Roles(ctx)
	}
	return p.server.AddRoles(ctx, append([]string{"postgres"}, roles...))
}

// fill loads the dump, again from its start where the throwaway server lacks something that no dump brings along.
func (p *testRun) fill(ctx context.Context, found *verified) error {
	if p.server == nil {
		return p.load(ctx, found)
	}
	if err := p.addRoles(ctx); err != nil {
		return err
	}
	tried := map[string]bool{}
	for {
		err := p.load(ctx, found)
		role, tablespace := postgres.Lacks(err)
		name := role + "\x00" + tablespace
		switch {
		case tried[name] || len(tried) == maxLacking:
			return err
		case role != "":
			err = p.server.AddRoles(ctx, []string{role})
		case tablespace != "":
			err = p.server.AddTablespace(ctx, tablespace)
		case (postgres.ForeignUnreachable(err) || postgres.RowsHidden(err)) && !p.unfilled:
			p.unfilled = true
			continue
		case postgres.NameNotFound(err) && p.searchPath == "":
			p.searchPath = p.kept().searchPath()
			continue
		default:
			return err
		}
		tried[name] = true
		if err != nil {
			return err
		}
	}
}

func (p *testRun) load(ctx context.Context, found *verified) error {
	if err := errors.Join(p.instance.DropDatabase(ctx, p.database), dropOwnRoles(ctx, p.instance, p.database)); err != nil {
		return err
	}
	like, err := likeness(ctx, p.instance, p.req.Manifest, found.head)
	if err != nil {
		return err
	}
	if err := p.instance.CreateDatabase(ctx, p.database, like); err != nil {
		return err
	}
	progress := p.clock.begin(p.req.OnProgress, PhaseRestore, found.plainSize)
	if p.server == nil && !p.req.Sandboxed {
		rows, err := p.loader.loadGuarded(ctx, p.database, p.content(found), progress, nil)
		p.counted = loaded(rows)
		return err
	}
	if !p.req.Sandboxed && !p.unfilled && !p.trusting {
		return p.loadAsARestore(ctx, found, progress)
	}
	if !p.req.Sandboxed && !p.unfilled {
		return p.loader.load(ctx, p.database, like, p.content(found), progress)
	}
	checked, err := content{verified: found, file: p.file}.reader(progress)
	if err != nil {
		return err
	}
	leaveOut := foreignOwner
	if p.unfilled {
		leaveOut = unfilled
	}
	if !p.req.Sandboxed || p.server != nil && p.server.Cage != nil { // in a cage, it does no harm whose rights a script has
		return loadWithout(ctx, p.instance, p.database, found.format, checked, leaveOut, p.searchPath)
	}
	sandboxed, err := p.instance.Sandbox(ctx, p.database, p.database)
	if err != nil {
		return err
	}
	if err = loadAs(ctx, sandboxed.Instance, p.database, found.format, checked); err != nil {
		err = fmt.Errorf("%w: %w", ErrSandboxed, err)
	} else if p.server == nil {
		p.counted, err = p.count(ctx, sandboxed.Instance)
	}
	return errors.Join(err, sandboxed.Close(context.WithoutCancel(ctx)))
}

// loadAsARestore loads as a restore into a live server does, so that what that refuses is known before the worst day. What does not go
// through so is loaded as stock tools do: in a cage it does no harm.
func (p *testRun) loadAsARestore(ctx context.Context, found *verified, progress *reporter) error {
	_, err := p.loader.loadGuarded(ctx, p.database, p.content(found), progress, nil)
	role, tablespace := postgres.Lacks(err)
	if err == nil || ctx.Err() != nil || role != "" || tablespace != "" || errors.Is(err, ErrDamaged) {
		return err
	}
	p.trusting, p.refused = true, err
	if errors.Is(err, ErrContent) {
		p.result.Refuses = err.Error()
	}
	progress.restart()
	return p.load(ctx, found)
}

// told is what is said of a load that failed. psql does not say at which table it was, and its own words may quote rows; the load
// before it was in sessions of ours, which know the table: where the same ended both, it speaks.
func (p *testRun) told(err error) string {
	var first, last *postgres.ServerError
	if !errors.Is(p.refused, ErrContent) && errors.As(p.refused, &first) && errors.As(err, &last) && first.SQLState == last.SQLState {
		return p.refused.Error()
	}
	return err.Error()
}

// loaded are the rows that a guarded load counted.
func loaded(rows map[postgres.Table]int64) []counted {
	var all []counted
	for table, n := range rows {
		all = append(all, counted{table, postgres.TableCount{Rows: n}})
	}
	return all
}

// content is what is loaded.
func (p *testRun) content(found *verified) content { return content{found, p.file, p.kept()} }

// kept is what is kept beside the file, for the search path of the database; what is wrong with it is for Scrub to say.
func (p *testRun) kept() *globals {
	if p.req.Manifest == nil || p.req.Manifest.Globals == nil {
		return nil
	}
	kept, err := p.files.readGlobals(p.req.From, p.req.Manifest)
	if err != nil {
		return nil
	}
	return &kept
}
