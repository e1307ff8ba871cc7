package access

import (
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// MayApprove reports whether somebody may decide on a request: another person than
// the one who asks, who may do the very thing themselves. The error wraps
// fleet.ErrDenied. A device more makes nobody another person.
func MayApprove(c fleet.Caller, r fleet.GuardedRequest) error {
	switch permission := r.Action.Permission(); {
	case c.Kind != fleet.CallerUser:
		return fleet.NewProblem(fleet.ErrDenied, "%s is no person", c)
	case c.Name == r.Requester:
		return fleet.NewProblem(fleet.ErrDenied, "%s asked for this, so another person decides on it", c).
			WithHint("somebody who has the permission %s can, on a login of their own", permission)
	case !MayDo(c, r):
		return fleet.NewProblem(fleet.ErrDenied, "%s (%s) may not decide on it: that takes %s on %s", c, c.Role, needed(r), place(r))
	default:
		return nil
	}
}

// MayDo reports whether somebody has the permissions for a request wherever it acts.
func MayDo(c fleet.Caller, r fleet.GuardedRequest) bool {
	if r.Source != "" && !HasOn(c, fleet.PermissionBackupExport, r.Source) {
		return false
	}
	return !slices.ContainsFunc(r.Instances(), func(instance string) bool { return !HasOn(c, r.Action.Permission(), instance) })
}

// needed are the permissions for a request, in words.
func needed(r fleet.GuardedRequest) string {
	if r.Source != "" {
		return "the permissions " + string(r.Action.Permission()) + " and " + string(fleet.PermissionBackupExport)
	}
	return "the permission " + string(r.Action.Permission())
}

func place(r fleet.GuardedRequest) string {
	if r.Instance == "" {
		return fleet.Scope(nil).String()
	}
	return strings.Join(r.Instances(), " and ")
}

// powers are the permissions with which somebody can decide on a request.
var powers = func() map[fleet.Permission]bool {
	all := map[fleet.Permission]bool{fleet.PermissionBackupExport: true}
	for _, action := range fleet.GuardedActions {
		all[action.Permission()] = true
	}
	return all
}()

// EscalatesPrivileges reports whether a change lets somebody decide on a request that they could not
// decide on before. It says true if the scopes can't be compared with certainty.
func EscalatesPrivileges(before, after fleet.Caller) bool {
	for p := range powers {
		is, has := limits(after, p)
		was, had := limits(before, p)
		if has && (!had || !within(is, was)) {
			return true
		}
	}
	return false
}

// within reports whether what the scopes is all cover lies in each of was.
func within(is, was []fleet.Scope) bool {
	return !slices.ContainsFunc(was, func(outer fleet.Scope) bool {
		return !slices.ContainsFunc(is, func(s fleet.Scope) bool { return s.Within(outer) })
	})
}
