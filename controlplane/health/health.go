// Package health judges every database of the fleet by what the catalog knows.
package health

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Judge applies the rules of package fleet to the catalog.
type Judge struct {
	Catalog   *catalog.Catalog
	Now       func() time.Time
	Heartbeat time.Duration
}

// Report is the state of the fleet at one moment.
type Report struct {
	// Healthy: every verdict is OK. A fleet without agents is healthy.
	Healthy    bool
	CheckedAt  time.Time
	Judgements []fleet.Judgement // worst first
}

// Fleet judges every database in scope, or those of one instance; an instance
// that the fleet does not have is fleet.ErrNotFound.
func (j *Judge) Fleet(ctx context.Context, instance string, scope fleet.Scope) (Report, error) {
	if instance != "" {
		if _, err := j.Catalog.Agent(ctx, instance); err != nil {
			return Report{}, err
		}
	}
	now := j.Now().UTC()
	facts, err := j.Catalog.Facts(ctx, instance, scope, now)
	if err != nil {
		return Report{}, err
	}
	report := Report{Healthy: true, CheckedAt: now}
	for _, f := range facts {
		judgement := fleet.Judge(f, now, j.Heartbeat)
		report.Healthy = report.Healthy && judgement.Verdict == fleet.VerdictOK
		report.Judgements = append(report.Judgements, judgement)
	}
	slices.SortStableFunc(report.Judgements, func(a, b fleet.Judgement) int {
		return cmp.Or(fleet.Worse(a.Verdict, b.Verdict), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Database, b.Database))
	})
	return report, nil
}
