package job

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
)

// admission says what the host lets be done, and with whose rights.
type admission struct {
	engine     *backup.Engine
	log        *slog.Logger
	warnings   *warnings
	readPolicy func() (policy.Policy, error) // nil: the default
}

// hostPolicy reads what the control plane may ask for, as it is now.
func (a *admission) hostPolicy() (policy.Policy, error) {
	if a.readPolicy == nil {
		return policy.Default(), nil
	}
	return a.readPolicy()
}

// permit reports what the host lets the control plane ask for, and refuses a job that it does not
// allow. What depends on the file or on the hold that is asked for is seen later, by admitAsked and
// HoldSpec.run.
func (a *admission) permit(spec Spec) (policy.Policy, error) {
	p, err := a.hostPolicy()
	if err != nil {
		return p, fmt.Errorf("the host of %s %w anything: %w", a.engine.InstanceName, backup.ErrNotAllowed, err)
	}
	if !p.Allows(spec.Kind()) {
		return p, a.notAllowed("a " + spec.Kind())
	}
	if what := spec.refused(p); what != "" {
		return p, a.notAllowed(what)
	}
	return p, nil
}

func (a *admission) notAllowed(what string) error {
	return fmt.Errorf("the host of %s %w %s when the control plane asks for it; see the policy file there", a.engine.InstanceName, backup.ErrNotAllowed, what)
}

// admitAsked is admit for what the control plane asks for: its word that a file is another agent's proves nothing.
func (a *admission) admitAsked(ctx context.Context, p policy.Policy, origin backup.Origin, of backup.Manifest) (sandboxed bool, err error) {
	if origin.Ours() || p.Unproven {
		return a.admit(ctx, origin, "")
	}
	if origin.Kind == backup.OriginShared {
		return false, fmt.Errorf("the host of %s %w a restore from %q: restore_from in the policy file there does not name that instance, and the passphrase, which both have, proves nothing of another host",
			a.engine.InstanceName, backup.ErrNotAllowed, of.Instance)
	}
	return false, a.notAllowed("a restore of a file of which nothing proves who made it")
}

// lookAtPolicy reports what is wrong with the policy; the control plane learns of it in the status.
func (a *admission) lookAtPolicy() (policy.Policy, string) {
	p, err := a.hostPolicy()
	if err != nil {
		a.warnings.set(warnPolicy, "the control plane may ask for nothing: "+err.Error())
		return policy.Policy{}, err.Error()
	}
	a.warnings.set(warnPolicy, "")
	return p, ""
}
