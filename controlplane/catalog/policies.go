package catalog

import (
	"context"
	"encoding/json"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const policyColumns = `glob, require_approval, require_reason, approval_ttl, updated_by, updated_at`

func scanPolicy(r row) (p fleet.Policy, err error) {
	var approval, reason []byte
	var ttl int64
	if err := r.Scan(&p.Glob, &approval, &reason, &ttl, &p.UpdatedBy, instant{&p.UpdatedAt}); err != nil {
		return p, err
	}
	p.ApprovalTTL = time.Duration(ttl) * time.Microsecond
	if err := json.Unmarshal(approval, &p.RequireApproval); err != nil {
		return p, err
	}
	return p, json.Unmarshal(reason, &p.RequireReason)
}

// List returns every policy, by glob.
func (s Policies) List(ctx context.Context) ([]fleet.Policy, error) {
	return collect(ctx, s.db, scanPolicy, `SELECT `+policyColumns+` FROM policies ORDER BY glob`)
}

// Set keeps a policy, in place of an earlier one with the same glob.
func (s Policies) Set(ctx context.Context, p fleet.Policy) error {
	approval, err := json.Marshal(p.RequireApproval)
	if err != nil {
		return err
	}
	reason, err := json.Marshal(p.RequireReason)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `INSERT OR REPLACE INTO policies (`+policyColumns+`) VALUES (?, ?, ?, ?, ?, ?)`,
		p.Glob, string(approval), string(reason), p.ApprovalTTL.Microseconds(), p.UpdatedBy, micros(p.UpdatedAt))
	return err
}

// Remove removes the policy with this glob, if there is one.
func (s Policies) Remove(ctx context.Context, glob string) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM policies WHERE glob = ?`, glob)
	return err
}
