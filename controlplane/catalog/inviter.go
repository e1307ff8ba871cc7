package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Anyone who has made an invite knows its word, and so it ends with the rights that it was made
// with: if they go, in the same transaction, and if they went while it was made, it is not kept.

// makerStillMay refuses an invite whose maker no longer has the device or the rights
// that they called with.
func makerStillMay(ctx context.Context, tx *sql.Tx, maker fleet.Caller) error {
	if maker.Identity == "" { // the host
		return nil
	}
	var role fleet.Role
	var scope fleet.Scope
	err := tx.QueryRowContext(ctx, `SELECT u.role, u.instances FROM identities i JOIN users u ON i.kind = 'user' AND u.name = i.name
		WHERE i.id = ? AND i.revoked_at IS NULL AND u.revoked_at IS NULL`, maker.Identity).Scan(&role, scoped{&scope})
	if errors.Is(err, sql.ErrNoRows) || err == nil && (role != maker.Role || !slices.Equal(scope, maker.Instances)) {
		return fleet.NewProblem(fleet.ErrConflict, "the rights of %s have changed while the invite was made", maker).WithHint("try again")
	}
	return err
}

// voiding is why open invites end, and by whom. It is an entry of the audit log, in the same
// transaction.
type voiding struct {
	by, target string
	why        string // follows their number
	at         time.Time
}

// voidOpen ends open invites; what follows says which.
const voidOpen = `UPDATE invites SET voided_at = ?1 WHERE used_at IS NULL AND voided_at IS NULL AND expires_at > ?1 AND `

// invites ends those that a statement says, and writes how many they were.
func (v voiding) invites(ctx context.Context, tx *sql.Tx, statement string, args ...any) error {
	result, err := tx.ExecContext(ctx, statement, append([]any{micros(v.at)}, args...)...)
	if err != nil {
		return err
	}
	voided, err := result.RowsAffected()
	if err != nil || voided == 0 {
		return err
	}
	_, err = appendAudit(ctx, tx, chain.Entry{
		At: v.at, Actor: v.by, Action: "invite.void", Target: v.target, Outcome: chain.OutcomeSucceeded, Detail: fmt.Sprintf("%d %s", voided, v.why),
	})
	return err
}

// voidInvites ends the open invites of a user, whose rights are others now: anyone who holds one
// that was made before would have the new ones without anybody's consent.
func voidInvites(ctx context.Context, tx *sql.Tx, user, by string, now time.Time) error {
	v := voiding{by: by, target: userName(user), why: "from before the rights changed", at: now}
	return v.invites(ctx, tx, voidOpen+`kind = 'user' AND name = ?2`, user)
}

// voidMadeBy ends the open invites that a user has made, with rights that they no
// longer have.
func voidMadeBy(ctx context.Context, tx *sql.Tx, user, by string, now time.Time) error {
	v := voiding{by: by, target: userName(user), why: "made with rights that were taken back", at: now}
	return v.invites(ctx, tx, voidOpen+`created_by = ?2`, userName(user))
}

// voidMadeOn ends the open invites that were made with a device of a user: anyone who has it knows
// their words.
func voidMadeOn(ctx context.Context, tx *sql.Tx, user, device, by string, now time.Time) error {
	v := voiding{by: by, target: "device:" + device, why: "made with the device that was revoked", at: now}
	return v.invites(ctx, tx, voidOpen+`created_by = ?2 AND created_on IN (?3, '')`, userName(user), device)
}

func userName(user string) string { return fleet.Caller{Kind: fleet.CallerUser, Name: user}.String() }
