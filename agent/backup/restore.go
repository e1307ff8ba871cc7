package backup

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

var restoreIDs = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// Restorer restores stored files into databases of an instance.
type Restorer struct {
	instance     *postgres.Instance
	files        *fileReader
	loader       *loader
	marks        *Marks
	swapper      *Swapper
	incoming     Incoming
	instanceName string
	clock        clock
}

// RestoreRequest asks to restore a file into a new database, or in the place of one.
type RestoreRequest struct {
	// From is where the backup is read from.
	From Source
	// Manifest is what the file is held against. Nil for a file that has none, which is then verified as far as it can
	// be: it opens, and it has the end marker of a dump.
	Manifest *Manifest
	// Target is the database to make; it must not exist, unless Replace is set.
	Target string
	// Replace lets the restored database take the place of Target, which is kept under another name.
	Replace bool
	// BeforeSwap, which may be nil, hears what is about to replace what, when the restored database stands; its error
	// leaves everything as it was.
	BeforeSwap func(Replacement) error
	// RestoreID names the temporary database, pgharbor_restore_<id>: 1 to 40 characters of [a-z0-9-].
	RestoreID string
	// WithRoles is RolesMissing or RolesSuperuser to make roles before the load; empty makes none.
	WithRoles string
	// Sandboxed says that nobody knows who made the file: it is loaded as a role that has the new database and nothing
	// else, which owns in the end all that is in it.
	Sandboxed bool
	// TrustContent loads with all the rights that the agent has what can't be loaded as its owners.
	TrustContent bool
	// Origin is how the maker of the file is known; the database is marked with it where the load is sandboxed.
	Origin     OriginKind
	OnProgress func(Progress) // as in BackupRequest
	OnWarning  func(string)   // may be nil; hears what the restored database lacks
	OnRoles    func([]string) // may be nil; hears which roles were made
}

// Restore verifies a file as a whole, restores it into a temporary database, counts its rows and gives it the target's
// name at the very end. After an error the temporary database is gone, unless the server is too: then CleanUp drops it.
func (r *Restorer) Restore(ctx context.Context, req RestoreRequest) error {
	if !restoreIDs.MatchString(req.RestoreID) {
		return fmt.Errorf("%q is no id of a restore", req.RestoreID)
	}
	file, err := openFrom(req.From)
	if err != nil {
		return err
	}
	defer file.Close()
	found, err := r.lookAndVerify(ctx, file, req)
	if err != nil {
		return err
	}
	to := listener{clock: r.clock, onProgress: req.OnProgress, onWarning: req.OnWarning}
	kept, roles, err := r.prepareRoles(ctx, found, req.roleRequest(), to)
	if err != nil {
		return err
	}
	temporary := temporaryPrefix + req.RestoreID
	err = r.fill(ctx, temporary, content{found, file, kept}, req.plan(), to)
	if err == nil && req.Sandboxed {
		err = r.marks.mark(ctx, temporary, req.Origin, req.Manifest, to)
	}
	if err == nil {
		err = r.place(ctx, temporary, kept, req.placing(r.instanceName), to)
	}
	if errors.Is(err, postgres.ErrDatabaseExists) {
		err = fmt.Errorf("%w: %q", ErrTargetExists, req.Target)
	}
	if err != nil {
		err = r.takeBack(ctx, temporary, roles, err)
	}
	return err
}

// lookAndVerify makes sure of all that can be known before anything is touched: the preflight checks, and the whole file.
func (r *Restorer) lookAndVerify(ctx context.Context, file Object, req RestoreRequest) (*verified, error) {
	look := r.preflight(req)
	if err := look.beforeReading(ctx, file); err != nil {
		return nil, err
	}
	found, err := r.files.verify(ctx, file, req.Manifest, look.reading(file))
	if err != nil {
		return nil, err
	}
	return found, look.afterReading(ctx, &found.needs)
}

// fill builds the database under its temporary name, compares its rows with those of the dump, and collects statistics.
func (r *Restorer) fill(ctx context.Context, temporary string, from content, by plan, to listener) error {
	db, err := r.build(ctx, temporary, from, by, to)
	if err == nil {
		err = db.compare(ctx, to)
	}
	if err == nil {
		err = db.analyze(ctx, to)
	}
	return db.release(ctx, err)
}

func (r RestoreRequest) roleRequest() roleRequest {
	return roleRequest{
		from: r.From, manifest: r.Manifest, withRoles: r.WithRoles, sandboxed: r.Sandboxed, replace: r.Replace, onRoles: r.OnRoles,
	}
}

// plan is how the database is built.
func (r RestoreRequest) plan() plan {
	p := plan{manifest: r.Manifest, sandboxed: r.Sandboxed, trusted: r.TrustContent}
	if r.Replace {
		p.replaces = r.Target
	}
	return p
}

// placing is where the database goes when it stands. One of another instance gets no properties that reach beyond it.
func (r RestoreRequest) placing(instance string) placing {
	return placing{
		target: r.Target, replace: r.Replace, restoreID: r.RestoreID, beforeSwap: r.BeforeSwap,
		foreign: r.Manifest != nil && r.Manifest.Instance != instance && r.WithRoles != RolesSuperuser,
	}
}
