package daemon

import (
	"context"
	"errors"

	"github.com/pgharbor/pgharbor/agent/policy"
)

// hostPolicy is where the host says what the control plane may ask for. A file that somebody has
// named must be there.
func (c *command) hostPolicy() policy.File {
	return policy.File{Path: c.policyFile, Optional: !c.root.PersistentFlags().Changed("policy-file")}
}

// checkPolicy shows what the control plane may ask for.
func (a *agent) checkPolicy(context.Context, *command) (string, error) {
	allowed, err := a.policy.Read()
	if err != nil {
		return "", remedy{err, policyRemedy(err)}
	}
	return allowed.String(), nil
}

// policyRemedy reports what to do about a policy that can't be used.
func policyRemedy(err error) string {
	const until = "until then the control plane may ask for nothing; see \"What the host allows\" in docs/agent.md"
	if errors.Is(err, policy.ErrGone) {
		return "make the file that PGHARBOR_POLICY_FILE or --policy-file names, or name none; " + until
	}
	return until
}

// announcePolicy says at the start what the control plane will be told: backups are made anyway.
func (a *agent) announcePolicy() {
	if _, err := a.policy.Read(); err != nil {
		a.log.Error("the control plane may ask for nothing", "error", err, "what to do", policyRemedy(err))
	}
}
