package access

import "github.com/pgharbor/pgharbor/controlplane/fleet"

// MayApprove says whether somebody may decide on a request: another person than
// the one who asks, who may do the very thing themselves. The error wraps
// fleet.ErrDenied. A device more makes nobody another person.
func MayApprove(c fleet.Caller, r fleet.GuardedRequest) error {
	switch permission := r.Action.Permission(); {
	case c.Kind != fleet.CallerUser:
		return fleet.NewProblem(fleet.ErrDenied, "%s is no person", c)
	case c.Name == r.Requester:
		return fleet.NewProblem(fleet.ErrDenied, "%s asked for this, so another person decides on it", c).
			WithHint("somebody who has the permission %s can, on a login of their own", permission)
	case !HasOn(c, permission, r.Instance):
		return fleet.NewProblem(fleet.ErrDenied, "%s (%s) may not decide on it: that takes the permission %s on %s", c, c.Role, permission, place(r.Instance))
	default:
		return nil
	}
}

func place(instance string) string {
	if instance == "" {
		return fleet.Scope(nil).String()
	}
	return instance
}
