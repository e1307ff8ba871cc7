package api

import (
	"context"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// actions are those that entries of the audit log may have, as docs/audit.md lists them. An RPC that was refused is an
// action too.
var actions = strings.Fields(`
	backup.run backup.verify backup.hold backup.release backup.download backup.fetch
	restore.preview backup.restore restore.undo
	identity.enroll identity.renew device.sign-in
	user.invite invite.void user.set user.grant user.revoke-grant user.revoke agent.invite agent.revoke device.revoke
	policy.set policy.remove threshold.set threshold.remove alerts.test
	approval.ask approval.approve approval.deny approval.use approval.expire approval.void
	connect agent.settings agent.duplicate agent.signing-key backup.suspect trail.dispute trail.accept
	owner.recover ca.rotate ca.retire controlplane.serve audit.seal
`)

// checkAction refuses an action of which there is no entry and can be none. What an older or a newer control plane wrote
// is known by its entries.
func (s *auditService) checkAction(ctx context.Context, action string) error {
	refused := func(method string) bool { return guard.ActionOf(method) == action }
	if action == "" || slices.Contains(actions, action) || slices.ContainsFunc(access.Methods(), refused) {
		return nil
	}
	known, err := s.Catalog.AuditLog.HasAction(ctx, action)
	if err != nil || known {
		return err
	}
	return fleet.NewProblem(fleet.ErrInvalid, "%q is no action", action).WithHint("docs/audit.md lists the actions, such as backup.download and user.invite")
}
