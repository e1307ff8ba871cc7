package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/subject"
)

// Witness holds what an agent says of its backups against what the catalog has
// seen of them, and returns by id why a backup is not to be believed: it was
// another file before, or its place in the chain of its series was another's.
// What the catalog knows to be suspect already is left out. It changes nothing.
func (s Backups) Witness(ctx context.Context, instance string, backups []fleet.Backup) (map[string]string, error) {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // it only reads
	type seen struct {
		id, sha256, suspect string
	}
	scan := func(r row) (s seen, err error) { return s, r.Scan(&s.id, &s.sha256, &s.suspect) }
	told := make([]string, len(backups))
	for n, b := range backups {
		told[n] = b.ID
	}
	ids, err := json.Marshal(told)
	if err != nil {
		return nil, err
	}
	known, err := collect(ctx, tx, scan, `SELECT id, json_extract(manifest, '$.sha256'), suspect FROM backups
		WHERE instance = ? AND id IN (SELECT value FROM json_each(?))`, instance, string(ids))
	if err != nil {
		return nil, err
	}
	before := map[string]seen{}
	for _, s := range known {
		before[s.id] = s
	}
	heads, err := newestLinks(ctx, tx, instance)
	if err != nil {
		return nil, err
	}
	suspects := map[string]string{}
	// In the order of the chain: an inventory may bring several that are new.
	backups = slices.Clone(backups)
	slices.SortStableFunc(backups, func(a, b fleet.Backup) int { return int(a.Manifest.Sequence - b.Manifest.Sequence) })
	for _, b := range backups {
		old, listed := before[b.ID]
		place := chainOf{b.Series(), b.Manifest.SignedBy}
		newest := heads[place]
		switch {
		case listed && old.suspect != "":
		case listed && old.sha256 != b.Manifest.SHA256:
			suspects[b.ID] = fmt.Sprintf("it had the SHA-256 %s, and now it is said to have %s", old.sha256, b.Manifest.SHA256)
		case !listed && b.Manifest.Sequence > 0 && b.Manifest.Sequence <= newest.sequence:
			suspects[b.ID] = fmt.Sprintf("it has the number %d in the chain of signatures, which had come to %d with the backup %s",
				b.Manifest.Sequence, newest.sequence, newest.id)
		case !listed && b.Manifest.Sequence > 0:
			heads[place] = link{b.ID, b.Manifest.Sequence}
		}
	}
	return suspects, nil
}

// chainOf is where a backup has its place: among those of its series that one key signed.
type chainOf struct {
	series subject.Series
	key    string
}

type link struct {
	id       string
	sequence int64
}

// newestLinks returns the newest backup of each chain of an instance. Of a
// suspect one the place does not count.
func newestLinks(ctx context.Context, q queryer, instance string) (map[chainOf]link, error) {
	type newest struct {
		chainOf
		link
	}
	scan := func(r row) (n newest, err error) {
		var b fleet.Backup
		err = r.Scan(&b.Kind, &b.Subject, &b.Database, &n.key, &n.id, &n.sequence)
		n.series = b.Series()
		return n, err
	}
	all, err := collect(ctx, q, scan, `SELECT kind, subject, database, signed_by, id, max(sequence) FROM backups
		WHERE instance = ? AND sequence > 0 AND suspect = '' GROUP BY database, kind, subject, signed_by`, instance)
	heads := map[chainOf]link{}
	for _, n := range all {
		heads[n.chainOf] = n.link
	}
	return heads, err
}

// SigningKey returns by which key an agent's signatures are known; the zero value if it has told
// none. fleet.ErrNotFound for an unknown agent.
func (s Agents) SigningKey(ctx context.Context, agent string) (fleet.SigningKey, error) {
	var key fleet.SigningKey
	var at, enrolled time.Time
	err := s.db.QueryRowContext(ctx, `SELECT signing_key, signing_key_at, signing_key_last, enrolled_at FROM agents WHERE name = ?`, agent).
		Scan(&key.Pinned, instant{&at}, &key.Last, instant{&enrolled})
	key.Enrolled = enrolled.After(at)
	return key, missing(err, "agent %q", agent)
}

// KeepSigningKey notes with which key an agent signs. With pin it is the one that
// its signatures are known by from now on.
func (s Agents) KeepSigningKey(ctx context.Context, agent string, key []byte, pin bool, now time.Time) error {
	_, err := s.reports.ExecContext(ctx, `UPDATE agents SET signing_key_last = ?1,
		signing_key = iif(?2, ?1, signing_key), signing_key_at = iif(?2, ?3, signing_key_at) WHERE name = ?4`,
		key, pin, micros(now), agent)
	return err
}
