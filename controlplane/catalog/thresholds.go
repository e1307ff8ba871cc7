package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// List returns the rules that somebody has set, the shortest pattern
// first, so that a narrower one is laid over a wider one.
func (s Thresholds) List(ctx context.Context) ([]fleet.ThresholdRule, error) {
	scan := func(r row) (rule fleet.ThresholdRule, err error) {
		var thresholds []byte
		if err := r.Scan(&rule.Pattern, &thresholds, &rule.SetBy, instant{&rule.SetAt}); err != nil {
			return rule, err
		}
		return rule, json.Unmarshal(thresholds, &rule.Thresholds)
	}
	return collect(ctx, s.db, scan, `SELECT pattern, thresholds, set_by, set_at FROM thresholds ORDER BY length(pattern), pattern`)
}

// Set keeps a rule in place of an earlier one of the same pattern.
func (s Thresholds) Set(ctx context.Context, rule fleet.ThresholdRule) error {
	thresholds, err := json.Marshal(rule.Thresholds)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `
		INSERT INTO thresholds (pattern, thresholds, set_by, set_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (pattern) DO UPDATE SET thresholds = excluded.thresholds, set_by = excluded.set_by, set_at = excluded.set_at`,
		rule.Pattern, string(thresholds), rule.SetBy, micros(rule.SetAt))
	return err
}

// Remove forgets a rule, or returns fleet.ErrNotFound.
func (s Thresholds) Remove(ctx context.Context, pattern string) error {
	result, err := s.db.ExecContext(ctx, `DELETE FROM thresholds WHERE pattern = ?`, pattern)
	if err != nil {
		return err
	}
	if removed, err := result.RowsAffected(); err != nil || removed == 0 {
		return cmp.Or(err, missing(sql.ErrNoRows, "thresholds for %q", pattern))
	}
	return nil
}
