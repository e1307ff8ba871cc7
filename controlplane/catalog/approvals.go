package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// maxPending bounds what one person can have waiting, and so what others have
// to read through.
const maxPending = 20

// maxEnrolling is how many devices of one person may wait that invites of the same maker bring.
// Anyone who holds an invite asks in its maker's name, who must have room for requests of their
// own.
const maxEnrolling = 3

const approvalColumns = `id, action, instance, source, target, details, reason, requester, requester_identity, state,
	created_at, lifetime, expires_at, decided_by, decider_identity, decided_at, comment, used_at`

func scanApproval(r row) (a fleet.Approval, err error) {
	var details []byte
	var lifetime int64
	q := &a.Request
	err = r.Scan(&a.ID, &q.Action, &q.Instance, &q.Source, &q.Target, &details, &q.Reason, &q.Requester, &a.RequesterIdentity, &a.State,
		instant{&a.CreatedAt}, &lifetime, instant{&a.ExpiresAt}, &a.DecidedBy, &a.DeciderIdentity, instant{&a.DecidedAt},
		&a.Comment, instant{&a.UsedAt})
	if err != nil {
		return a, err
	}
	a.Lifetime = time.Duration(lifetime) * time.Microsecond
	return a, json.Unmarshal(details, &q.Details)
}

// Get returns one approval, or fleet.ErrNotFound.
func (s Approvals) Get(ctx context.Context, id string) (fleet.Approval, error) {
	a, err := scanApproval(s.db.QueryRowContext(ctx, `SELECT `+approvalColumns+` FROM approvals WHERE id = ?`, id))
	return a, missing(err, "approval %q", id)
}

// Of returns the approval of a request that decides what becomes of it,
// or fleet.ErrNotFound: the open one, or else the denial, or else any.
func (s Approvals) Of(ctx context.Context, r fleet.GuardedRequest) (fleet.Approval, error) {
	a, err := scanApproval(s.db.QueryRowContext(ctx, `SELECT `+approvalColumns+` FROM approvals
		WHERE digest = ? ORDER BY state IN ('pending', 'approved', 'in-use') DESC, state = 'denied' DESC LIMIT 1`, r.Digest()))
	return a, missing(err, "approval of this request")
}

// Ask keeps a new approval as pending, unless its request has an open
// one already: then that one is returned. Too many that wait for the same person
// are fleet.ErrConflict.
func (s Approvals) Ask(ctx context.Context, a fleet.Approval) (asked fleet.Approval, err error) {
	a.State, a.ExpiresAt = fleet.ApprovalPending, a.CreatedAt.Add(a.Lifetime)
	details, err := json.Marshal(a.Request.Details)
	if err != nil {
		return a, err
	}
	err = s.within(ctx, func(tx *sql.Tx) error {
		if err := roomToAsk(ctx, tx, a); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO approvals (id, digest, action, instance, source, target, details, reason, requester, requester_identity, state,
				created_at, lifetime, expires_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (digest) WHERE state IN ('pending', 'approved', 'in-use') DO NOTHING`,
			a.ID, a.Request.Digest(), a.Request.Action, a.Request.Instance, a.Request.Source, a.Request.Target, string(details), a.Request.Reason,
			a.Request.Requester, a.RequesterIdentity, a.State, micros(a.CreatedAt), a.Lifetime.Microseconds(), micros(a.ExpiresAt))
		if err != nil {
			return err
		}
		asked, err = scanApproval(tx.QueryRowContext(ctx, `SELECT `+approvalColumns+` FROM approvals
			WHERE digest = ? AND state IN ('pending', 'approved', 'in-use')`, a.Request.Digest()))
		return err
	})
	return asked, err
}

// MayAsk reports whether a new approval may wait, as Ask does.
func (s Approvals) MayAsk(ctx context.Context, a fleet.Approval) error {
	return roomToAsk(ctx, s.db, a)
}

// roomToAsk is fleet.ErrConflict if as many wait already as may.
func roomToAsk(ctx context.Context, from queryer, a fleet.Approval) error {
	most, apart := maxPending, `action <> '`+string(fleet.ActionEnroll)+`'`
	args := []any{a.Request.Requester, micros(a.CreatedAt)}
	if a.Request.Action == fleet.ActionEnroll {
		most, apart = maxEnrolling, `action = '`+string(fleet.ActionEnroll)+`' AND target = ?`
		args = append(args, a.Request.Target)
	}
	var waiting int
	err := from.QueryRowContext(ctx, `SELECT count(*) FROM approvals WHERE requester = ? AND state = 'pending' AND expires_at > ? AND `+apart, args...).Scan(&waiting)
	if err != nil || waiting < most {
		return err
	}
	return fleet.NewProblem(fleet.ErrConflict, "%d requests of %s wait for another person, and that is as many as may", waiting, a.Request.Requester).
		WithHint("let others decide on them, see pgharbor approvals list; those that nobody decides on expire")
}

// Decide notes what another person said of a request, if it still
// waits; otherwise fleet.ErrConflict. From an approval on, its lifetime runs again.
func (s Approvals) Decide(ctx context.Context, id string, decided fleet.ApprovalState, by fleet.Caller, comment string, now time.Time) error {
	result, err := s.db.ExecContext(ctx, `
		UPDATE approvals SET state = ?1, decided_by = ?2, decider_identity = ?3, decided_at = ?4, comment = ?5,
			expires_at = iif(?1 = 'approved', ?4 + lifetime, expires_at)
		WHERE id = ?6 AND state = 'pending' AND expires_at > ?4`,
		decided, by.Name, by.Identity, micros(now), comment, id)
	return changedOne(result, err, "approval %s does not wait for a decision any longer", id)
}

// Use takes an approval for one effect: however many try at once, one
// gets it, and the others fleet.ErrConflict. The state to is used, or in-use for
// an effect that will end later.
func (s Approvals) Use(ctx context.Context, id string, to fleet.ApprovalState, now time.Time) error {
	result, err := s.db.ExecContext(ctx,
		`UPDATE approvals SET state = ?, used_at = ? WHERE id = ? AND state = 'approved' AND expires_at > ?`, to, micros(now), id, micros(now))
	return changedOne(result, err, "approval %s was used by another request at the same time", id)
}

// EndUse ends an effect that held an approval in use. What was not whole leaves
// the approval as it was.
func (s Approvals) EndUse(ctx context.Context, id string, whole bool) error {
	_, err := s.db.ExecContext(ctx,
		`UPDATE approvals SET state = iif(?, 'used', 'approved') WHERE id = ? AND state = 'in-use'`, whole, id)
	return err
}

// Reconcile gives back what was in use when the control plane ended without a word. It must be
// called before anything is used.
func (s Approvals) Reconcile(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, `UPDATE approvals SET state = 'approved' WHERE state = 'in-use'`)
	return err
}

// Close ends an approval that nothing can come of, as expired or void.
func (s Approvals) Close(ctx context.Context, id string, as fleet.ApprovalState) error {
	_, err := s.db.ExecContext(ctx, `UPDATE approvals SET state = ? WHERE id = ? AND state IN ('pending', 'approved')`, as, id)
	return err
}

// Overdue returns those whose time is over and that are not closed yet.
func (s Approvals) Overdue(ctx context.Context, now time.Time) ([]fleet.Approval, error) {
	return collect(ctx, s.db, scanApproval, `SELECT `+approvalColumns+` FROM approvals
		WHERE state IN ('pending', 'approved') AND expires_at <= ? ORDER BY expires_at`, micros(now))
}

// ApprovalQuery selects approvals.
type ApprovalQuery struct {
	Page Page
	// Waiting: only those that can still come to something at this moment.
	Waiting time.Time
	// Scope limits them to the instances that the caller may see; what concerns the whole fleet is
	// in no scope but that.
	Scope fleet.Scope
}

// List returns a page of approvals, newest first, and the token of the next.
func (s Approvals) List(ctx context.Context, q ApprovalQuery) ([]fleet.Approval, string, error) {
	var f filter
	if !q.Waiting.IsZero() {
		f.where(`(state = 'in-use' OR state IN ('pending', 'approved') AND expires_at > ?)`, micros(q.Waiting))
	}
	f.scope("instance", q.Scope)
	if err := f.page(q.Page, "created_at"); err != nil {
		return nil, "", err
	}
	position := func(a fleet.Approval) (time.Time, string) { return a.CreatedAt, a.ID }
	return paged(ctx, s.db, scanApproval, q.Page, position, `SELECT `+approvalColumns+` FROM approvals`+f.sql()+
		fmt.Sprintf(` ORDER BY created_at DESC, id DESC LIMIT %d`, q.Page.limit()+1), f.args...)
}

// changedOne is fleet.ErrConflict with the text if an update found no row.
func changedOne(result sql.Result, err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	if changed, err := result.RowsAffected(); err != nil || changed == 1 {
		return err
	}
	return fleet.NewProblem(fleet.ErrConflict, format, args...)
}
