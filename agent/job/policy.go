package job

import (
	"context"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
)

// hostPolicy reads what the control plane may ask for, as it is now.
func (r *Runner) hostPolicy() (policy.Policy, error) {
	if r.HostPolicy == nil {
		return policy.Default(), nil
	}
	return r.HostPolicy()
}

// permit says what the host lets the control plane ask for, and refuses a job that it does not allow. What depends on the
// file or on the hold that is asked for is seen later, by admitAsked and HoldSpec.run.
func (r *Runner) permit(spec Spec) (policy.Policy, error) {
	p, err := r.hostPolicy()
	if err != nil {
		return p, fmt.Errorf("the host of %s %w anything: %w", r.Engine.InstanceName, backup.ErrNotAllowed, err)
	}
	if !p.Allows(spec.Kind()) {
		return p, r.notAllowed("a " + spec.Kind())
	}
	if what := spec.refused(p); what != "" {
		return p, r.notAllowed(what)
	}
	return p, nil
}

func (r *Runner) notAllowed(what string) error {
	return fmt.Errorf("the host of %s %w %s when the control plane asks for it; see the policy file there", r.Engine.InstanceName, backup.ErrNotAllowed, what)
}

// admitAsked is admit for what the control plane asks for: its word that a file is another agent's proves nothing.
func (r *Runner) admitAsked(ctx context.Context, p policy.Policy, origin backup.Origin, of backup.Manifest) (confined bool, err error) {
	if origin.Ours() || p.Unproven {
		return r.admit(ctx, origin, "")
	}
	if origin.Kind == backup.OriginShared {
		return false, fmt.Errorf("the host of %s %w a restore from %q: restore_from in the policy file there does not name that instance, and the passphrase, which both have, proves nothing of another host",
			r.Engine.InstanceName, backup.ErrNotAllowed, of.Instance)
	}
	return false, r.notAllowed("a restore of a file of which nothing proves who made it")
}

// lookAtPolicy says what is wrong with the policy; the control plane hears of it in the status.
func (r *Runner) lookAtPolicy() (policy.Policy, string) {
	p, err := r.hostPolicy()
	if err != nil {
		r.trouble(topicPolicy, "the control plane may ask for nothing: "+err.Error())
		return policy.Policy{}, err.Error()
	}
	r.trouble(topicPolicy, "")
	return p, ""
}
