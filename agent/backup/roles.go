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

// makeRoles makes the roles that the database needs and that are missing, where that is asked for, and returns those that it made.
func (r *Restorer) makeRoles(ctx context.Context, found *verified, kept *globals, m *Manifest, withRoles string, to listener) ([]string, error) {
	if withRoles == "" {
		return nil, nil
	}
	wanted := slices.Concat(found.needs.Owners, found.needs.Roles, kept.properties.Roles())
	if told := m.knownNeeds(); told != nil {
		wanted = slices.Concat(wanted, told.Owners, told.Roles)
	}
	made, leftOut, err := r.instance.MakeRoles(ctx, kept.Script, wanted, withRoles == RolesSuperuser)
	if err != nil {
		return nil, fmt.Errorf("make the roles that are missing: %w", err)
	}
	for _, what := range leftOut {
		to.warn("left out: " + what)
	}
	return made, nil
}
