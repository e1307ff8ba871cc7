package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
)

// Head returns where the trail ends; the zero Head is that of an empty one.
func (s Trail) Head(ctx context.Context) (chain.Head, error) { return trailHead(ctx, s.db) }

func trailHead(ctx context.Context, q queryer) (h chain.Head, err error) {
	err = q.QueryRowContext(ctx, `SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1`).Scan(&h.Sequence, &h.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return chain.Head{}, nil
	}
	return h, err
}

// HeldHead is the newest head of the trail that an agent holds.
type HeldHead struct {
	Instance string
	chain.SignedHead
	ToldAt time.Time
}

const heldHeadColumns = `h.instance, h.sequence, h.hash, h.at, h.signature, h.certificate, h.told_at`

func scanHeldHead(r row) (h HeldHead, err error) {
	err = r.Scan(&h.Instance, &h.Sequence, &h.Hash, instant{&h.At}, &h.Signature, &h.Certificate, instant{&h.ToldAt})
	return h, err
}

// HeldHeads returns the heads that agents hold, those of revoked ones too. A
// catalog of an earlier schema has none.
func (s Trail) HeldHeads(ctx context.Context) ([]HeldHead, error) {
	var kept bool
	err := s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'trail_heads')`).Scan(&kept)
	if err != nil || !kept {
		return nil, err
	}
	return collect(ctx, s.db, scanHeldHead, `SELECT `+heldHeadColumns+` FROM trail_heads h ORDER BY h.instance`)
}

// TakeHead keeps the head that an agent says it holds, in place of the one
// before. Where the trail is not what the agent has seen, it returns in a sentence
// what differs, and writes that down as an entry, once for each head.
func (s Trail) TakeHead(ctx context.Context, h HeldHead) (dispute string, err error) {
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
		dispute, err = trailDispute(ctx, tx, h.Head)
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

// HeadOf returns the head that an agent holds; the zero Head where it holds none.
func (s Trail) HeadOf(ctx context.Context, instance string) (chain.Head, error) {
	held, err := collect(ctx, s.db, scanHeldHead, `SELECT `+heldHeadColumns+` FROM trail_heads h WHERE h.instance = ?`, instance)
	if err != nil || len(held) == 0 {
		return chain.Head{}, err
	}
	return held[0].Head, nil
}

// ForgetHead forgets what an agent has seen.
func (s Trail) ForgetHead(ctx context.Context, instance string) error {
	_, err := s.reports.ExecContext(ctx, `DELETE FROM trail_heads WHERE instance = ?`, instance)
	return err
}

// Dispute says in a sentence in what the trail differs from one that had this
// head, or "".
func (s Trail) Dispute(ctx context.Context, seen chain.Head) (string, error) {
	return trailDispute(ctx, s.db, seen)
}

func trailDispute(ctx context.Context, q queryer, seen chain.Head) (string, error) {
	var hash string
	err := q.QueryRowContext(ctx, `SELECT hash FROM audit WHERE sequence = ?`, seen.Sequence).Scan(&hash)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		before, err := sealed(ctx, q)
		if err != nil || (seen.Sequence < before.Sequence) || seen == before.Head {
			return "", err // what was sealed off is known by its end alone
		}
		if seen.Sequence == before.Sequence {
			return fmt.Sprintf("entry %d of the trail was seen with the hash %s, and it was sealed off with %s: the trail was rewritten",
				seen.Sequence, seen.Hash, before.Hash), nil
		}
		head, err := trailHead(ctx, q)
		return fmt.Sprintf("entry %d of the trail was seen, and it ends with entry %d: it was cut off, or the catalog is an older copy",
			seen.Sequence, head.Sequence), err
	case err != nil || hash == seen.Hash:
		return "", err
	default:
		return fmt.Sprintf("entry %d of the trail was seen with the hash %s, and it has %s: the trail was rewritten", seen.Sequence, seen.Hash, hash), nil
	}
}

// trailWarnings are what health says of an instance whose agent has seen another
// trail.
func trailWarnings(ctx context.Context, q queryer, instance string) ([]string, error) {
	held, err := collect(ctx, q, scanHeldHead, `SELECT `+heldHeadColumns+` FROM trail_heads h WHERE h.instance = ?`, instance)
	if err != nil || len(held) == 0 {
		return nil, err
	}
	dispute, err := trailDispute(ctx, q, held[0].Head)
	if dispute == "" || err != nil {
		return nil, err
	}
	return []string{"the agent has seen another trail: " + dispute}, nil
}
