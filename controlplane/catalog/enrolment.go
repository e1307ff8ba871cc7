package catalog

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/shell"
)

// Create keeps an invite, and makes sure that who it is for exists: the
// name is taken from now on. A user who exists keeps the role and the scope they
// have, so an invite with others is refused.
func (s Invites) Create(ctx context.Context, i fleet.Invite) error {
	return s.within(ctx, func(tx *sql.Tx) error { return createInvite(ctx, tx, i) })
}

func createInvite(ctx context.Context, tx *sql.Tx, i fleet.Invite) error {
	err := makerStillMay(ctx, tx, i.Maker)
	if err != nil {
		return err
	}
	if i.Kind == fleet.CallerAgent {
		err = ensureAgent(ctx, tx, i)
	} else {
		err = ensureUser(ctx, tx, i)
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		`INSERT INTO invites (secret_hash, kind, name, role, instances, created_by, created_on, approved_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.SecretHash, i.Kind, i.Name, i.Role, globs(i.Instances), i.CreatedBy, i.Maker.Identity, i.ApprovedBy, micros(i.CreatedAt), micros(i.ExpiresAt))
	return err
}

func ensureAgent(ctx context.Context, tx *sql.Tx, i fleet.Invite) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO agents (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`,
		i.Name, micros(i.CreatedAt))
	return err
}

// ensureUser lets somebody who was revoked begin again, as whatever the invite
// says. Invites that were made to them as something else end by that.
func ensureUser(ctx context.Context, tx *sql.Tx, i fleet.Invite) error {
	var role fleet.Role
	var scope fleet.Scope
	err := tx.QueryRowContext(ctx, `
		INSERT INTO users (name, role, instances, created_at) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (name) DO UPDATE SET role = iif(revoked_at IS NULL, role, excluded.role),
			instances = iif(revoked_at IS NULL, instances, excluded.instances)
		RETURNING role, instances`, i.Name, i.Role, globs(i.Instances), micros(i.CreatedAt)).Scan(&role, scoped{&scope})
	if err != nil {
		return err
	}
	if role != i.Role || !slices.Equal(scope, i.Instances) {
		return fleet.NewProblem(fleet.ErrExists, "user %s has the role %s on %s", i.Name, role, scope).
			WithHint("for another device: pgharbor users invite %s --role %s%s; to change it: pgharbor users set %s", i.Name, role, instancesFlag(scope), i.Name)
	}
	if err := approvedAs(ctx, tx, i); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE invites SET voided_at = ?
		WHERE kind = 'user' AND name = ? AND used_at IS NULL AND voided_at IS NULL AND (role <> ? OR instances <> ?)`,
		micros(i.CreatedAt), i.Name, i.Role, globs(i.Instances))
	return err
}

// approvedAs refuses an invite that was approved for other grants than its person has:
// they changed since, and the approval was not of these.
func approvedAs(ctx context.Context, tx *sql.Tx, i fleet.Invite) error {
	if i.ApprovedBy == "" {
		return nil
	}
	now, err := grants(ctx, tx, i.Name)
	if err != nil || slices.EqualFunc(i.Grants, now, func(a, b fleet.Grant) bool { return a.String() == b.String() }) {
		return err
	}
	return fleet.NewProblem(fleet.ErrConflict, "the grants of %s have changed since the invite was approved", i.Name).WithHint("ask for it again")
}

// Enrolment is an invite about to be redeemed: for whom, and over which key.
type Enrolment struct {
	SecretHash string
	Caller     fleet.Caller // Identity is used if the invite is redeemed now
	Key        string       // pki.KeyHash of the key to certify
	EndsAt     time.Time    // of the certificate
}

// instancesFlag is a scope as a command line gives it.
func instancesFlag(s fleet.Scope) shell.Words {
	if s.Whole() {
		return ""
	}
	return shell.Words(shell.Command(" --instances %s", s.String()))
}

// Redeem uses an invite up, makes its holder enrolled and returns the id
// of the enrolment. Whatever the number of callers at once, one key wins; the
// others, and those who come too late, get fleet.ErrUnauthenticated. The key
// that has won may come again while the invite would hold, because the reply
// may have been lost, and gets the same enrolment.
//
// A new enrolment of an agent ends its earlier ones: an instance has one
// agent. A person may have many devices.
func (s Invites) Redeem(ctx context.Context, e Enrolment, now time.Time) (identity string, err error) {
	identity = e.Caller.Identity
	err = s.within(ctx, func(tx *sql.Tx) error {
		invite, use, err := invite(ctx, tx, e.SecretHash)
		if err != nil {
			return err
		}
		if err := mayRedeem(invite, use, e.Key, now); err != nil {
			return err
		}
		if !invite.UsedAt.IsZero() {
			identity = use.identity
			return again(ctx, tx, identity, e.EndsAt)
		}
		_, err = tx.ExecContext(ctx, `UPDATE invites SET used_at = ?, used_key = ?, identity = ? WHERE secret_hash = ?`,
			micros(now), e.Key, identity, e.SecretHash)
		if err != nil {
			return err
		}
		return enrol(ctx, tx, e, now)
	})
	return identity, err
}

// Check refuses what Redeem would, and changes nothing. Again reports that the invite was used with
// the same key before.
func (s Invites) Check(ctx context.Context, secretHash, key string, now time.Time) (again bool, err error) {
	invite, use, err := invite(ctx, s.db, secretHash)
	if err != nil {
		return false, err
	}
	if err := mayRedeem(invite, use, key, now); err != nil || invite.UsedAt.IsZero() {
		return false, err
	}
	var holds bool
	err = s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM identities WHERE id = ? AND revoked_at IS NULL)`, use.identity).Scan(&holds)
	if err == nil && !holds {
		err = usedForWhatWasRevoked()
	}
	return true, err
}

func mayRedeem(i fleet.Invite, used use, key string, now time.Time) error {
	switch {
	case !i.UsedAt.IsZero() && used.key != key:
		return fleet.NewProblem(fleet.ErrUnauthenticated, "the invite for %s was used before", i.Name).
			WithHint("ask for a new invite; if you did not use it yourself, somebody else has: revoke %s", i.Name)
	case !i.VoidedAt.IsZero():
		return fleet.NewProblem(fleet.ErrUnauthenticated, "the invite for %s is void since %s, when what it was made for changed or was taken back",
			i.Name, i.VoidedAt.Format(time.RFC3339)).WithHint("ask for a new invite")
	case !now.Before(i.ExpiresAt):
		return fleet.NewProblem(fleet.ErrUnauthenticated, "the invite for %s expired at %s", i.Name, i.ExpiresAt.Format(time.RFC3339)).
			WithHint("ask for a new invite")
	default:
		return nil
	}
}

func usedForWhatWasRevoked() error {
	return fleet.NewProblem(fleet.ErrUnauthenticated, "what this invite was used for was revoked").WithHint("ask for a new invite")
}

// again admits an enrolment a second time, unless it has ended meanwhile.
func again(ctx context.Context, tx *sql.Tx, identity string, endsAt time.Time) error {
	result, err := tx.ExecContext(ctx, `UPDATE identities SET ends_at = ? WHERE id = ? AND revoked_at IS NULL`, micros(endsAt), identity)
	if err != nil {
		return err
	}
	if changed, err := result.RowsAffected(); err != nil || changed == 1 {
		return err
	}
	return usedForWhatWasRevoked()
}

// Get returns an invite by its secret's hash, used and expired ones too, or
// fleet.ErrUnauthenticated.
func (s Invites) Get(ctx context.Context, secretHash string) (fleet.Invite, error) {
	i, _, err := invite(ctx, s.db, secretHash)
	return i, err
}

// use is how an invite was redeemed; zero for one that was not.
type use struct{ key, identity string }

func invite(ctx context.Context, q queryer, secretHash string) (i fleet.Invite, used use, err error) {
	i.SecretHash = secretHash
	err = q.QueryRowContext(ctx, `
		SELECT kind, name, role, instances, created_by, approved_by, created_at, expires_at, voided_at, used_at, used_key, identity
		FROM invites WHERE secret_hash = ?`, secretHash).
		Scan(&i.Kind, &i.Name, &i.Role, scoped{&i.Instances}, &i.CreatedBy, &i.ApprovedBy, instant{&i.CreatedAt}, instant{&i.ExpiresAt},
			instant{&i.VoidedAt}, instant{&i.UsedAt}, &used.key, &used.identity)
	if errors.Is(err, sql.ErrNoRows) {
		err = fleet.NewProblem(fleet.ErrUnauthenticated, "the invite is not one of this control plane").WithHint("ask for a new invite")
	}
	return i, used, err
}

func enrol(ctx context.Context, tx *sql.Tx, e Enrolment, now time.Time) error {
	caller, enrolled := e.Caller, `UPDATE users SET enrolled_at = ?, revoked_at = NULL WHERE name = ?`
	if caller.Kind == fleet.CallerAgent {
		enrolled = `UPDATE agents SET enrolled_at = ?, revoked_at = NULL WHERE name = ?`
		_, err := tx.ExecContext(ctx, `UPDATE identities SET revoked_at = ? WHERE kind = 'agent' AND name = ? AND revoked_at IS NULL`,
			micros(now), caller.Name)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE agents SET duplicate_host = '', duplicate_at = NULL WHERE name = ?`, caller.Name); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, enrolled, micros(now), caller.Name)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO identities (id, kind, name, device, created_at, ends_at) VALUES (?, ?, ?, ?, ?, ?)`,
		caller.Identity, caller.Kind, caller.Name, caller.Device, micros(now), micros(e.EndsAt))
	return err
}

// Caller returns who an enrolment belongs to, with the role, scope and grants of this moment, or
// fleet.ErrUnauthenticated if it is unknown or was revoked.
func (s Identities) Caller(ctx context.Context, kind fleet.CallerKind, name, identity string) (fleet.Caller, error) {
	caller := fleet.Caller{Kind: kind, Name: name, Identity: identity}
	var revoked time.Time
	err := s.db.QueryRowContext(ctx, `
		SELECT coalesce(i.revoked_at, a.revoked_at, u.revoked_at), coalesce(u.role, ''), coalesce(u.instances, ''), i.device, i.last_seen_at
		FROM identities i
		LEFT JOIN agents a ON i.kind = 'agent' AND a.name = i.name
		LEFT JOIN users u ON i.kind = 'user' AND u.name = i.name
		WHERE i.id = ? AND i.kind = ? AND i.name = ?`, identity, kind, name).
		Scan(instant{&revoked}, &caller.Role, scoped{&caller.Instances}, &caller.Device, instant{&caller.LastSeenAt})
	if errors.Is(err, sql.ErrNoRows) {
		err = fleet.NewProblem(fleet.ErrUnauthenticated, "this control plane does not know the certificate of %s", caller)
	}
	if err != nil {
		return caller, err
	}
	if !revoked.IsZero() {
		return caller, fleet.NewProblem(fleet.ErrUnauthenticated, "%s was revoked at %s", caller, revoked.Format(time.RFC3339)).
			WithHint("ask an OWNER for a new invite")
	}
	if kind == fleet.CallerUser {
		caller.Grants, err = grants(ctx, s.db, name)
	}
	return caller, err
}
