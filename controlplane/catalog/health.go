package catalog

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// runsCount is for how long a scheduled run makes its database one to judge.
const runsCount = 7 * 24 * time.Hour

// Facts returns what is known of every database of every agent in scope that was
// not revoked, or of one instance. An instance of which no database is known has
// one row, with an empty name. All rows are of the same moment.
func (c *Catalog) Facts(ctx context.Context, instance string, scope fleet.Scope, now time.Time) ([]fleet.Facts, error) {
	// Read-only transactions do not take the write lock.
	tx, err := c.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // it only reads
	var f filter
	f.where(`revoked_at IS NULL`)
	if instance != "" {
		f.where(`name = ?`, instance)
	}
	f.scope("name", scope)
	agents, err := collect(ctx, tx, scanAgent, `SELECT `+agentColumns+` FROM agents`+f.sql()+` ORDER BY name`, f.args...)
	if err != nil {
		return nil, err
	}
	var all []fleet.Facts
	for _, agent := range agents {
		databases, err := databases(ctx, tx, agent, now)
		if err != nil {
			return nil, err
		}
		disputes, err := trailWarnings(ctx, tx, agent.Name)
		if err != nil {
			return nil, err
		}
		agent.Status.Warnings = append(agent.Status.Warnings, disputes...)
		for _, database := range databases {
			facts, err := facts(ctx, tx, agent, database, now)
			if err != nil {
				return nil, err
			}
			all = append(all, facts)
		}
	}
	return all, nil
}

// databases returns those that the agent covers, and those of which there is a
// backup, or a run that says something: a name that somebody mistyped once is
// no database, while one that the schedule has missed of late is.
func databases(ctx context.Context, q queryer, agent fleet.Agent, now time.Time) ([]string, error) {
	judged, exists := map[string]bool{}, map[string]bool{}
	for _, d := range agent.Status.Databases {
		exists[d.Name], judged[d.Name] = true, d.Covered
	}
	type seen struct {
		database string
		certain  bool
	}
	scan := func(r row) (s seen, err error) { return s, r.Scan(&s.database, &s.certain) }
	known, err := collect(ctx, q, scan, `
		SELECT database, max(trigger = 'schedule' AND started_at > ?2) FROM runs WHERE instance = ?1 GROUP BY database
		UNION ALL SELECT DISTINCT database, 1 FROM backups WHERE instance = ?1 AND state <> 'removed'`, agent.Name, micros(now.Add(-runsCount)))
	for _, s := range known {
		if s.certain || exists[s.database] {
			judged[s.database] = true
		}
	}
	names := []string{}
	for name, judge := range judged {
		if judge && name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		names = []string{""}
	}
	slices.Sort(names)
	return names, err
}

func facts(ctx context.Context, q queryer, agent fleet.Agent, database string, now time.Time) (fleet.Facts, error) {
	f := fleet.Facts{Instance: agent.Name, Database: database, LastSeenAt: agent.LastSeenAt, Warnings: agent.Status.Warnings, Duplicate: agent.Duplicate}
	// A clock that was ahead for a day leaves backups that are dated years ahead.
	// Once it is right again, they must not hide for years what is made since.
	plausible := micros(now.Add(fleet.ClockSkew))
	backups, err := collect(ctx, q, scanBackup, `SELECT `+backupColumns+` FROM backups
		WHERE instance = ? AND database = ? AND state = 'present' AND complete = 1 ORDER BY created_at > ?, created_at DESC LIMIT 1`,
		agent.Name, database, plausible)
	if err != nil {
		return f, err
	}
	if len(backups) == 1 {
		f.NewestBackup = &backups[0]
	}
	// By their end: an attempt that was turned away because another was under way
	// began later and ended sooner, and says nothing once the other has ended.
	runs, err := collect(ctx, q, scanRun, `SELECT `+runColumns+` FROM runs
		WHERE instance = ? AND database = ? AND state <> 'running' ORDER BY finished_at DESC LIMIT 1`, agent.Name, database)
	if err != nil {
		return f, err
	}
	if len(runs) == 1 {
		f.NewestRun = &runs[0]
	}
	// What is missing past its days would be gone by now anyway.
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM backups
		WHERE instance = ? AND database = ? AND state = 'missing' AND coalesce(retention_expires, 0) > ? AND created_at <= ?`,
		agent.Name, database, micros(now), plausible).Scan(&f.Missing)
	return f, err
}
