package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Sealed returns up to where the audit log was sealed off; the zero Seal if it was not. Whether the
// control plane has signed it is the caller's to check. A catalog of an earlier schema has none.
func (s AuditLog) Sealed(ctx context.Context) (seal chain.Seal, err error) {
	var kept bool
	err = s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sealed')`).Scan(&kept)
	if err != nil || !kept {
		return seal, err
	}
	return sealed(ctx, s.db)
}

func sealed(ctx context.Context, q queryer) (s chain.Seal, err error) {
	err = q.QueryRowContext(ctx, `SELECT sequence, hash, file_sha256, at, signature, certificate FROM sealed ORDER BY sequence DESC LIMIT 1`).
		Scan(&s.Sequence, &s.Hash, &s.FileSHA256, instant{&s.At}, &s.Signature, &s.Certificate)
	if errors.Is(err, sql.ErrNoRows) {
		return chain.Seal{}, nil
	}
	return s, err
}

// Sealable returns the last entry up to which the audit log can be sealed off: those before it are
// all from before a moment, and nothing of them is still under way. The zero Checkpoint is none.
func (s AuditLog) Sealable(ctx context.Context, before time.Time) (h chain.Checkpoint, err error) {
	err = s.reading(ctx, func(tx *sql.Tx) error {
		var end int64
		// A lost job can still end otherwise.
		err := tx.QueryRowContext(ctx, `SELECT min(
			coalesce((SELECT min(sequence) FROM audit WHERE at >= ?1), 1 << 62),
			coalesce((SELECT min(sequence) FROM audit AS a WHERE outcome = ?2 AND NOT EXISTS (SELECT 1 FROM audit WHERE completes = a.sequence AND outcome <> ?3)), 1 << 62),
			coalesce((SELECT min(audit_sequence) FROM jobs WHERE audit_sequence > 0 AND state NOT IN ('succeeded', 'failed', 'cancelled')), 1 << 62))`,
			micros(before), chain.OutcomeStarted, chain.OutcomeOngoing).Scan(&end)
		if err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, `SELECT sequence, hash FROM audit WHERE sequence < ? ORDER BY sequence DESC LIMIT 1`, end).Scan(&h.Sequence, &h.Hash)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return h, err
}

// Seal records that the audit log up to a checkpoint is in a file, and goes on after it here. A
// checkpoint that the audit log has not, or that is sealed already, is fleet.ErrConflict.
func (s AuditLog) Seal(ctx context.Context, seal chain.Seal) error {
	return s.within(ctx, func(tx *sql.Tx) error {
		before, err := sealed(ctx, tx)
		if err != nil {
			return err
		}
		dispute, err := auditLogDispute(ctx, tx, seal.Checkpoint)
		if err != nil {
			return err
		}
		if dispute != "" || seal.Sequence <= before.Sequence {
			return fleet.NewProblem(fleet.ErrConflict, "the audit log can't be sealed at %s; it was sealed at %s", seal, before)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO sealed (sequence, hash, at, signature, certificate, file_sha256) VALUES (?, ?, ?, ?, ?, ?)`,
			seal.Sequence, seal.Hash, micros(seal.At), seal.Signature, seal.Certificate, seal.FileSHA256)
		return err
	})
}

// DropSealed deletes the entries that were sealed off, a few hundred at a time.
func (s AuditLog) DropSealed(ctx context.Context) error {
	for gone := reportRows; gone == reportRows; {
		err := s.reports.within(ctx, func(tx *sql.Tx) (err error) {
			gone, err = deleted(tx.ExecContext(ctx, `DELETE FROM audit WHERE sequence IN (
				SELECT sequence FROM audit WHERE sequence <= (SELECT max(sequence) FROM sealed) ORDER BY sequence LIMIT ?)`, reportRows))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
