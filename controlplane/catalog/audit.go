package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const auditColumns = `sequence, at, actor, action, instance, target, reason, outcome, detail, completes, previous_hash, hash`

func scanAudit(r row) (e chain.Entry, err error) {
	err = r.Scan(&e.Sequence, instant{&e.At}, &e.Actor, &e.Action, &e.Instance, &e.Target, &e.Reason, &e.Outcome,
		&e.Detail, &e.Completes, &e.PreviousHash, &e.Hash)
	return e, err
}

// Append adds an entry to the end of the audit log and returns its sequence.
func (s AuditLog) Append(ctx context.Context, e chain.Entry) (sequence int64, err error) {
	err = s.within(ctx, func(tx *sql.Tx) error {
		sequence, err = appendAudit(ctx, tx, e)
		return err
	})
	return sequence, err
}

// Complete adds the entry that reports how the action of an earlier one
// ended.
func (s AuditLog) Complete(ctx context.Context, started int64, outcome, detail string, now time.Time) error {
	return s.within(ctx, func(tx *sql.Tx) error { return completeAudit(ctx, tx, started, outcome, detail, now) })
}

// Reconcile completes the entries whose action was under way when the control plane ended without a
// word, and returns how many those are. It must be called before there are new ones. A job
// completes its own entry, whenever it ends.
func (s AuditLog) Reconcile(ctx context.Context, now time.Time) (ended int, err error) {
	scan := func(r row) (sequence int64, err error) { return sequence, r.Scan(&sequence) }
	err = s.within(ctx, func(tx *sql.Tx) error {
		open, err := collect(ctx, tx, scan, `SELECT sequence FROM audit WHERE outcome = ?
			AND sequence NOT IN (SELECT completes FROM audit WHERE outcome <> ?) AND sequence NOT IN (SELECT audit_sequence FROM jobs) ORDER BY sequence`,
			chain.OutcomeStarted, chain.OutcomeOngoing)
		ended = len(open)
		for _, sequence := range open {
			detail, lookErr := brokenOff(ctx, tx, sequence)
			err = errors.Join(err, lookErr, completeAudit(ctx, tx, sequence, chain.OutcomeFailed, detail, now))
		}
		return err
	})
	return ended, err
}

// brokenOff reports how far an action may have come whose control plane has ended.
func brokenOff(ctx context.Context, q queryer, started int64) (detail string, err error) {
	err = q.QueryRowContext(ctx, `SELECT detail FROM audit WHERE completes = ? AND outcome = ? ORDER BY sequence DESC LIMIT 1`,
		started, chain.OutcomeOngoing).Scan(&detail)
	if errors.Is(err, sql.ErrNoRows) {
		return "the control plane stopped in the middle of it: how far it came is not known", nil
	}
	return "the control plane stopped in the middle of it, after it wrote: " + detail, err
}

func appendAudit(ctx context.Context, tx *sql.Tx, e chain.Entry) (int64, error) {
	checkpoint, err := checkpoint(ctx, tx)
	if err != nil {
		return 0, err
	}
	e.Sequence, e.PreviousHash, e.Hash = checkpoint.Sequence+1, checkpoint.Hash, ""
	e.Hash = e.Sum(e.PreviousHash)
	_, err = tx.ExecContext(ctx, `INSERT INTO audit (`+auditColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Sequence, micros(e.At), e.Actor, e.Action, e.Instance, e.Target, e.Reason, e.Outcome, e.Detail, e.Completes, e.PreviousHash, e.Hash)
	return e.Sequence, err
}

func completeAudit(ctx context.Context, tx *sql.Tx, started int64, outcome, detail string, now time.Time) error {
	e, err := scanAudit(tx.QueryRowContext(ctx, `SELECT `+auditColumns+` FROM audit WHERE sequence = ?`, started))
	if err != nil {
		return missing(err, "entry %d in the audit log", started)
	}
	e.At, e.Outcome, e.Detail, e.Completes = now, outcome, detail, started
	_, err = appendAudit(ctx, tx, e)
	return err
}

// shownBackups bounds the backups that the end of a job names.
const shownBackups = 20

// jobDetail is what the audit log says of a job that has ended: why it failed, or which backups it
// made or was about, with their sizes and hashes.
func jobDetail(ctx context.Context, q queryer, j fleet.Job) (string, error) {
	if j.State != fleet.JobSucceeded {
		return fmt.Sprintf("job %s %s: %s", j.ID, j.State, j.Error), nil
	}
	scan := func(r row) (text string, err error) {
		var id, hash string
		var size int64
		err = r.Scan(&id, &size, &hash)
		return fmt.Sprintf("backup %s, %d bytes, sha256 %s", id, size, hash), err
	}
	backups, err := collect(ctx, q, scan, `SELECT id, size_bytes, manifest ->> '$.sha256' FROM backups
		WHERE id = ? OR id IN (SELECT backup_id FROM runs WHERE job_id = ? AND job_id <> '') ORDER BY id`, j.Spec.BackupID, j.ID)
	if more := len(backups) - shownBackups; more > 0 {
		backups = append(backups[:shownBackups], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(append([]string{"job " + j.ID}, backups...), "; "), err
}

// AuditQuery selects entries of the audit log; empty fields select all.
type AuditQuery struct {
	Page     Page
	Instance string
	Action   string
	Actor    string // "user:NAME", or the name alone, of a person or an agent
	Target   string // an id or, like an actor, a name
	Outcome  string
	Since    time.Time // from this moment on
	Until    time.Time // before this moment
}

func (q AuditQuery) filter() (f filter) {
	f.instance("instance", q.Instance)
	if q.Action != "" {
		f.where(`action = ?`, q.Action)
	}
	if q.Actor != "" {
		f.where(`actor IN (?, ?, ?)`, q.Actor, "user:"+q.Actor, "agent:"+q.Actor)
	}
	if q.Target != "" {
		f.where(`target IN (?, ?, ?)`, q.Target, "user:"+q.Target, "agent:"+q.Target)
	}
	if q.Outcome != "" {
		f.where(`outcome = ?`, q.Outcome)
	}
	if !q.Since.IsZero() {
		f.where(`at >= ?`, micros(q.Since))
	}
	if !q.Until.IsZero() {
		f.where(`at < ?`, micros(q.Until))
	}
	return f
}

// HasAction reports whether an entry has the action.
func (s AuditLog) HasAction(ctx context.Context, action string) (has bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM audit WHERE action = ?)`, action).Scan(&has)
	return has, err
}

// List returns a page of the audit log, newest first, and the token of the next.
func (s AuditLog) List(ctx context.Context, q AuditQuery) ([]chain.Entry, string, error) {
	f := q.filter()
	before, _, err := q.Page.after()
	if err != nil {
		return nil, "", err
	}
	f.where(`sequence < ?`, before)
	position := func(e chain.Entry) (time.Time, string) { return time.UnixMicro(e.Sequence), "-" }
	return paged(ctx, s.db, scanAudit, q.Page, position, `SELECT `+auditColumns+` FROM audit`+f.sql()+
		fmt.Sprintf(` ORDER BY sequence DESC LIMIT %d`, q.Page.limit()+1), f.args...)
}

// After returns the entries that follow the one with a sequence, oldest
// first, at most limit of them.
func (s AuditLog) After(ctx context.Context, sequence int64, limit int) ([]chain.Entry, error) {
	return collect(ctx, s.db, scanAudit, `SELECT `+auditColumns+` FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?`, sequence, limit)
}
