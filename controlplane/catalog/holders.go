package catalog

import (
	"context"
	"encoding/json"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Holder is an enrolment that was not revoked, and what is known of its
// certificate and of the CAs that it trusts, by fingerprint.
type Holder struct {
	fleet.Caller
	EnrolledAt time.Time
	EndsAt     time.Time // of the last certificate issued; zero: not known
	Issuer     string    // of the certificate in use; empty: its holder has never said
	Trusts     []string
}

const holderColumns = `kind, name, id, created_at, ends_at, issuer, trusts`

func scanHolder(r row) (h Holder, err error) {
	var trusts []byte
	if err := r.Scan(&h.Kind, &h.Name, &h.Identity, instant{&h.EnrolledAt}, instant{&h.EndsAt}, &h.Issuer, &trusts); err != nil {
		return h, err
	}
	return h, json.Unmarshal(trusts, &h.Trusts)
}

// Holders returns every enrolment that was not revoked, agents first, by name.
func (s Identities) Holders(ctx context.Context) ([]Holder, error) {
	return collect(ctx, s.db, scanHolder, `SELECT `+holderColumns+` FROM identities WHERE revoked_at IS NULL ORDER BY kind, name, created_at, id`)
}

// Holder returns an enrolment by its id, or fleet.ErrNotFound.
func (s Identities) Holder(ctx context.Context, identity string) (Holder, error) {
	h, err := scanHolder(s.db.QueryRowContext(ctx, `SELECT `+holderColumns+` FROM identities WHERE id = ? AND revoked_at IS NULL`, identity))
	return h, missing(err, "enrolment %q", identity)
}

// RecordTrusts records which CAs a holder says that it trusts, and which one its certificate is of.
func (s Identities) RecordTrusts(ctx context.Context, identity string, trusts []string, issuer string) error {
	text, err := json.Marshal(trusts)
	if err != nil {
		return err
	}
	_, err = s.reports.ExecContext(ctx, `UPDATE identities SET trusts = ?2, issuer = ?3 WHERE id = ?1 AND (trusts <> ?2 OR issuer <> ?3)`,
		identity, string(text), issuer)
	return err
}

// RecordCertificate records when the newest certificate of an enrolment ends.
func (s Identities) RecordCertificate(ctx context.Context, identity string, endsAt time.Time) error {
	_, err := s.db.ExecContext(ctx, `UPDATE identities SET ends_at = ? WHERE id = ?`, micros(endsAt), identity)
	return err
}

// Open returns the invites that can still be redeemed, without their
// secrets.
func (s Invites) Open(ctx context.Context, now time.Time) ([]fleet.Invite, error) {
	scan := func(r row) (i fleet.Invite, err error) {
		return i, r.Scan(&i.Kind, &i.Name, instant{&i.ExpiresAt})
	}
	return collect(ctx, s.db, scan,
		`SELECT kind, name, expires_at FROM invites WHERE used_at IS NULL AND voided_at IS NULL AND expires_at > ? ORDER BY kind, name, expires_at`, micros(now))
}
