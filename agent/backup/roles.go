package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pgharbor/pgharbor/internal/words"
)

// Words for the roles that a restore makes, as far as they are missing; those that exist are never touched. Empty means
// none.
const (
	RolesMissing   = words.RolesMissing   // with nothing that reaches beyond the restored database
	RolesSuperuser = words.RolesSuperuser // as they were
)

// errNoGlobals reports that a backup has no roles that could be made.
var errNoGlobals = errors.New("no roles are kept with this file: restore it without them, or make them by hand")

// roleRequest is what is asked of the roles and settings that are kept beside a file.
type roleRequest struct {
	from      Source
	manifest  *Manifest
	withRoles string // as in RestoreRequest
	sandboxed bool   // nobody knows who made them
	replace   bool
	onRoles   func([]string) // may be nil; hears which roles were made
}

// prepareRoles reads the globals that are kept beside the file, which may be none, and makes the roles that the database
// needs and that are missing, where that is asked for. It returns both.
func (r *Restorer) prepareRoles(ctx context.Context, found *verified, req roleRequest, to listener) (kept *globals, made []string, err error) {
	kept, err = r.files.openGlobals(req.from, req.manifest, req.withRoles, to)
	if req.sandboxed {
		kept, err = nil, req.sandboxable()
	}
	if err != nil || req.withRoles == "" {
		return kept, nil, err
	}
	made, err = r.makeRoles(ctx, found, kept, req, to)
	if len(made) > 0 && req.onRoles != nil {
		req.onRoles(made)
	}
	return kept, made, err
}

// sandboxable refuses what a file of unknown origin may not ask for.
func (r roleRequest) sandboxable() error {
	switch {
	case r.withRoles != "":
		return fmt.Errorf("%w: no roles are made of what is kept beside it", ErrSandboxedOnly)
	case r.replace:
		return fmt.Errorf("%w: it takes the place of no database", ErrSandboxedOnly)
	}
	return nil
}

// openGlobals reads what is kept beside the file; nil where nothing is. Only a restore that is to make roles fails for it.
func (f *fileReader) openGlobals(from Source, m *Manifest, withRoles string, to listener) (*globals, error) {
	switch withRoles {
	case "", RolesMissing, RolesSuperuser:
	default:
		return nil, fmt.Errorf("%q says nothing about roles; this agent may be older than the control plane", withRoles)
	}
	if m == nil || m.Globals == nil {
		if withRoles != "" {
			return nil, errNoGlobals
		}
		return nil, nil
	}
	kept, err := f.readGlobals(from, m)
	if err != nil && withRoles == "" {
		to.warn("the settings of the database are not restored: " + err.Error())
		return nil, nil
	}
	return &kept, err
}

// makeRoles makes the roles that the database needs and that are missing, and returns those that it made.
func (r *Restorer) makeRoles(ctx context.Context, found *verified, kept *globals, req roleRequest, to listener) ([]string, error) {
	wanted := slices.Concat(found.needs.Owners, found.needs.Roles, kept.properties.Roles())
	if told := req.manifest.knownNeeds(); told != nil {
		wanted = slices.Concat(wanted, told.Owners, told.Roles)
	}
	made, leftOut, err := r.instance.MakeRoles(ctx, kept.Script, wanted, req.withRoles == RolesSuperuser)
	if err != nil {
		return nil, fmt.Errorf("make the roles that are missing: %w", err)
	}
	for _, what := range leftOut {
		to.warn("left out: " + what)
	}
	return made, nil
}
