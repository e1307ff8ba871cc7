package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
)

// Checkpoint returns where the audit log ends; the zero Checkpoint is that of an empty one.
func (s AuditLog) Checkpoint(ctx context.Context) (chain.Checkpoint, error) {
	return checkpoint(ctx, s.db)
}

func checkpoint(ctx context.Context, q queryer) (h chain.Checkpoint, err error) {
	err = q.QueryRowContext(ctx, `SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1`).Scan(&h.Sequence, &h.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return chain.Checkpoint{}, nil
	}
	return h, err
}

// HeldCheckpoint is the newest checkpoint of the audit log that an agent holds.
type HeldCheckpoint struct {
	Instance string
	chain.SignedCheckpoint
	ToldAt time.Time
}

const heldCheckpointColumns = `h.instance, h.sequence, h.hash, h.at, h.signature, h.certificate, h.told_at`

func scanHeldCheckpoint(r row) (h HeldCheckpoint, err error) {
	err = r.Scan(&h.Instance, &h.Sequence, &h.Hash, instant{&h.At}, &h.Signature, &h.Certificate, instant{&h.ToldAt})
	return h, err
}

// HeldCheckpoints returns the checkpoints that agents hold, those of revoked ones too. A catalog of
// an earlier schema has none.
func (s AuditLog) HeldCheckpoints(ctx context.Context) ([]HeldCheckpoint, error) {
	var kept bool
	err := s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'trail_heads')`).Scan(&kept)
	if err != nil || !kept {
		return nil, err
	}
	return collect(ctx, s.db, scanHeldCheckpoint, `SELECT `+heldCheckpointColumns+` FROM trail_heads h ORDER BY h.instance`)
}

// TakeCheckpoint keeps the checkpoint that an agent says it holds, in place of the one before. If
// the audit log is not what the agent has seen, it returns in a sentence what differs, and writes
// that down as an entry, once for each checkpoint.
func (s AuditLog) TakeCheckpoint(ctx context.Context, h HeldCheckpoint) (dispute string, err error) {
	err = s.reports.within(ctx, func(tx *sql.Tx) error {
		var known bool
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM trail_heads WHERE instance = ? AND sequence = ? AND hash = ?)`,
			h.Instance, h.Sequence, h.Hash).Scan(&known)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO trail_heads VALUES (?, ?, ?, ?, ?, ?, ?)`,
			h.Instance, h.Sequence, h.Hash, micros(h.At), h.Signature, h.Certificate, micros(h.ToldAt))
		if err != nil {
			return err
		}
		dispute, err = auditLogDispute(ctx, tx, h.Checkpoint)
		if dispute == "" || known || err != nil {
			return err
		}
		_, err = appendAudit(ctx, tx, chain.Entry{
			At: h.ToldAt, Actor: "agent:" + h.Instance, Action: "trail.dispute", Instance: h.Instance, Target: h.String(),
			Outcome: chain.OutcomeFailed, Detail: dispute,
		})
		return err
	})
	return dispute, err
}

// CheckpointOf returns the checkpoint that an agent holds; the zero Checkpoint if it holds none.
func (s AuditLog) CheckpointOf(ctx context.Context, instance string) (chain.Checkpoint, error) {
	held, err := collect(ctx, s.db, scanHeldCheckpoint, `SELECT `+heldCheckpointColumns+` FROM trail_heads h WHERE h.instance = ?`, instance)
	if err != nil || len(held) == 0 {
		return chain.Checkpoint{}, err
	}
	return held[0].Checkpoint, nil
}

// ForgetCheckpoint forgets what an agent has seen.
func (s AuditLog) ForgetCheckpoint(ctx context.Context, instance string) error {
	_, err := s.reports.ExecContext(ctx, `DELETE FROM trail_heads WHERE instance = ?`, instance)
	return err
}

// Dispute says in a sentence in what the audit log differs from one that had this checkpoint, or
// "".
func (s AuditLog) Dispute(ctx context.Context, seen chain.Checkpoint) (string, error) {
	return auditLogDispute(ctx, s.db, seen)
}

func auditLogDispute(ctx context.Context, q queryer, seen chain.Checkpoint) (string, error) {
	var hash string
	err := q.QueryRowContext(ctx, `SELECT hash FROM audit WHERE sequence = ?`, seen.Sequence).Scan(&hash)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		before, err := sealed(ctx, q)
		if err != nil || (seen.Sequence < before.Sequence) || seen == before.Checkpoint {
			return "", err // what was sealed off is known by its end alone
		}
		if seen.Sequence == before.Sequence {
			return fmt.Sprintf("entry %d of the audit log was seen with the hash %s, and it was sealed off with %s: the audit log was rewritten",
				seen.Sequence, seen.Hash, before.Hash), nil
		}
		checkpoint, err := checkpoint(ctx, q)
		return fmt.Sprintf("entry %d of the audit log was seen, and it ends with entry %d: it was cut off, or the catalog is an older copy",
			seen.Sequence, checkpoint.Sequence), err
	case err != nil || hash == seen.Hash:
		return "", err
	default:
		return fmt.Sprintf("entry %d of the audit log was seen with the hash %s, and it has %s: the audit log was rewritten", seen.Sequence, seen.Hash, hash), nil
	}
}

// auditLogWarnings are what health says of an instance whose agent has seen another audit log.
func auditLogWarnings(ctx context.Context, q queryer, instance string) ([]string, error) {
	held, err := collect(ctx, q, scanHeldCheckpoint, `SELECT `+heldCheckpointColumns+` FROM trail_heads h WHERE h.instance = ?`, instance)
	if err != nil || len(held) == 0 {
		return nil, err
	}
	dispute, err := auditLogDispute(ctx, q, held[0].Checkpoint)
	if dispute == "" || err != nil {
		return nil, err
	}
	return []string{"the agent has seen another audit log: " + dispute}, nil
}
