package daemon

import (
	"context"

	"github.com/pgharbor/pgharbor/agent/policy"
)

// hostPolicy is where the host says what the control plane may ask for. A file
// that somebody has named must be there.
func (c *command) hostPolicy() policy.File {
	return policy.File{Path: c.policyFile, Optional: !c.root.PersistentFlags().Changed("policy-file")}
}

// checkPolicy shows what the control plane may ask for.
func (a *agent) checkPolicy(context.Context, *command) (string, error) {
	allowed, err := a.policy.Read()
	if err != nil {
		return "", remedy{err, "until then the control plane may ask for nothing; see \"What the host allows\" in docs/agent.md"}
	}
	return allowed.String(), nil
}
