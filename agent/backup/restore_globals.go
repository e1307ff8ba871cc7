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
func (e *Engine) openGlobals(req RestoreRequest) (*globals, error) {
	switch req.WithRoles {
	case "", RolesMissing, RolesSuperuser:
	default:
		return nil, fmt.Errorf("%q says nothing about roles; this agent may be older than the control plane", req.WithRoles)
	}
	if req.Manifest == nil || req.Manifest.Globals == nil {
		if req.WithRoles != "" {
			return nil, errNoGlobals
		}
		return nil, nil
	}
	kept, err := e.readGlobals(req.From, req.Manifest)
	if err != nil && req.WithRoles == "" {
		req.warn("the settings of the database are not restored: " + err.Error())
		return nil, nil
	}
	return &kept, err
}

// makeRoles makes the roles that the database needs and that are missing, where that is asked for, and returns those that it made.
func (e *Engine) makeRoles(ctx context.Context, found *verified, kept *globals, req RestoreRequest) ([]string, error) {
	if req.WithRoles == "" {
		return nil, nil
	}
	wanted := slices.Concat(found.needs.Owners, found.needs.Roles, kept.properties.Roles())
	if told := req.Manifest.knownNeeds(); told != nil {
		wanted = slices.Concat(wanted, told.Owners, told.Roles)
	}
	made, leftOut, err := e.Instance.MakeRoles(ctx, kept.Script, wanted, req.WithRoles == RolesSuperuser)
	if err != nil {
		return nil, fmt.Errorf("make the roles that are missing: %w", err)
	}
	for _, what := range leftOut {
		req.warn("left out: " + what)
	}
	if len(made) > 0 && req.OnRoles != nil {
		req.OnRoles(made)
	}
	return made, nil
}

// bringProperties gives a database that was just restored the properties that it had when it was backed up, unless it is
// to replace one, whose properties it then inherits.
func (e *Engine) bringProperties(ctx context.Context, temporary string, kept *globals, req RestoreRequest) error {
	if kept == nil {
		return e.Instance.OpenDatabase(ctx, temporary)
	}
	foreign := req.Manifest.Instance != e.InstanceName && req.WithRoles != RolesSuperuser
	leftOut, err := e.Instance.SetProperties(ctx, temporary, kept.properties, foreign)
	for _, what := range leftOut {
		req.warn("left out: " + what)
	}
	return err
}

// warn tells what was left out.
func (r RestoreRequest) warn(text string) {
	if r.OnWarning != nil {
		r.OnWarning(text)
	}
}
