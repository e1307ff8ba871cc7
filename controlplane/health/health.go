// Package health evaluates every database of the fleet from what the catalog knows.
package health

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Evaluator applies the rules of package fleet to the catalog. Its fields are set before
// use; all who ask share one.
type Evaluator struct {
	Catalog   *catalog.Catalog
	Now       func() time.Time
	Heartbeat time.Duration

	looks looks
}

// Report is the state of the fleet at one moment.
type Report struct {
	// Healthy: every verdict is fine. A fleet without agents is healthy.
	// It is of what was selected.
	Healthy   bool
	CheckedAt time.Time
	Statuses  []*fleet.DatabaseStatus // worst first; shared by all who asked
}

// Query selects what is evaluated; empty fields select all. Instance may be a glob.
type Query struct {
	Instance string
	Database string
	Verdicts []fleet.Verdict
	Scope    fleet.Scope
}

// Fleet evaluates every database that the query selects; an instance or a database that the
// fleet does not have is fleet.ErrNotFound. What is returned is shared with others, and not to be changed, but for the
// list of statuses itself.
func (j *Evaluator) Fleet(ctx context.Context, q Query) (Report, error) {
	if err := j.Catalog.Agents.CheckKnown(ctx, q.Scope, q.Instance, ""); err != nil {
		return Report{}, err
	}
	whole, err := j.looks.share(ctx, j.evaluate)
	if err != nil {
		return Report{}, err
	}
	report := Report{Healthy: true, CheckedAt: whole.CheckedAt}
	known := q.Database == "" || q.Database == fleet.MaintenanceDatabase
	for _, status := range whole.Statuses {
		known = known || q.about(status)
		if q.selects(status) {
			report.Healthy = report.Healthy && status.Verdict.Fine()
			report.Statuses = append(report.Statuses, status)
		}
	}
	if !known {
		return Report{}, fleet.NewProblem(fleet.ErrNotFound, "health knows no database %q", q.Database).WithHint("pgharbor health")
	}
	return report, nil
}

func (q Query) selects(j *fleet.DatabaseStatus) bool {
	return q.about(j) && (len(q.Verdicts) == 0 || slices.Contains(q.Verdicts, j.Verdict))
}

// about reports whether a query is about a database, whatever its verdict.
func (q Query) about(j *fleet.DatabaseStatus) bool {
	return (q.Instance == "" || fleet.MatchGlob(q.Instance, j.Instance)) && (q.Database == "" || q.Database == j.Database) && q.Scope.Covers(j.Instance)
}

// evaluate applies the rules to the whole fleet.
func (j *Evaluator) evaluate(ctx context.Context) (Report, error) {
	now := j.Now().UTC()
	facts, err := j.Catalog.Facts(ctx, now)
	if err != nil {
		return Report{}, err
	}
	rules, err := j.Catalog.Thresholds.List(ctx)
	if err != nil {
		return Report{}, err
	}
	databases := map[string]int{} // of each instance
	for _, f := range facts {
		databases[f.Instance]++
	}
	report := Report{CheckedAt: now}
	for _, f := range facts {
		status := fleet.Evaluate(f, fleet.ThresholdsFor(rules, f.Instance, f.Database), now, j.Heartbeat)
		status = status.Bounded(databases[f.Instance])
		report.Statuses = append(report.Statuses, &status)
	}
	slices.SortStableFunc(report.Statuses, func(a, b *fleet.DatabaseStatus) int {
		return cmp.Or(fleet.Worse(a.Verdict, b.Verdict), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Database, b.Database))
	})
	return report, nil
}

// Digest is another one once a verdict or a reason has come or gone. The words of a reason change
// every minute, with the ages in them, and are no part of it. Anyone who watches keeps it, and not
// the report, which may take much memory.
func (r Report) Digest() [sha256.Size]byte {
	digest := sha256.New()
	for _, j := range r.Statuses {
		fmt.Fprintf(digest, "%q %q %q", j.Instance, j.Database, j.Verdict)
		for _, reason := range j.Reasons {
			fmt.Fprintf(digest, " %q", reason.Verdict)
		}
		fmt.Fprintln(digest)
	}
	return [sha256.Size]byte(digest.Sum(nil))
}
