package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Sealed returns the signed head of the part of the trail that was sealed off; one
// that is not Valid where none was. A catalog of an earlier schema has none.
func (c *Catalog) Sealed(ctx context.Context) (h chain.SignedHead, err error) {
	var kept bool
	err = c.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sealed')`).Scan(&kept)
	if err != nil || !kept {
		return h, err
	}
	return sealed(ctx, c.db)
}

func sealed(ctx context.Context, q queryer) (h chain.SignedHead, err error) {
	err = q.QueryRowContext(ctx, `SELECT sequence, hash, at, signature, certificate FROM sealed ORDER BY sequence DESC LIMIT 1`).
		Scan(&h.Sequence, &h.Hash, instant{&h.At}, &h.Signature, &h.Certificate)
	if errors.Is(err, sql.ErrNoRows) {
		return chain.SignedHead{}, nil
	}
	return h, err
}

// Sealable returns the last entry up to which the trail can be sealed off: those
// before it are all from before a moment, and nothing of them is still under way.
// The zero Head is none.
func (c *Catalog) Sealable(ctx context.Context, before time.Time) (h chain.Head, err error) {
	err = c.reading(ctx, func(tx *sql.Tx) error {
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

// Seal notes that the trail up to a head stands in a file, and goes on after it here.
// A head that the trail has not, or that is sealed already, is fleet.ErrConflict.
func (c *Catalog) Seal(ctx context.Context, h chain.SignedHead, fileSHA256 string) error {
	return c.within(ctx, func(tx *sql.Tx) error {
		before, err := sealed(ctx, tx)
		if err != nil {
			return err
		}
		dispute, err := trailDispute(ctx, tx, h.Head)
		if err != nil {
			return err
		}
		if dispute != "" || h.Sequence <= before.Sequence {
			return fleet.NewProblem(fleet.ErrConflict, "the trail can't be sealed at %s; it was sealed at %s", h, before)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO sealed (sequence, hash, at, signature, certificate, file_sha256) VALUES (?, ?, ?, ?, ?, ?)`,
			h.Sequence, h.Hash, micros(h.At), h.Signature, h.Certificate, fileSHA256)
		return err
	})
}

// DropSealed deletes the entries that were sealed off, a few hundred at a time.
func (c *Catalog) DropSealed(ctx context.Context) error {
	for gone := reportRows; gone == reportRows; {
		err := c.reports.within(ctx, func(tx *sql.Tx) (err error) {
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
