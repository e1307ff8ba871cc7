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
		ofAgent, err := instanceFacts(ctx, tx, agent, now)
		if err != nil {
			return nil, err
		}
		all = append(all, ofAgent...)
	}
	return all, nil
}

func instanceFacts(ctx context.Context, q queryer, agent fleet.Agent, now time.Time) ([]fleet.Facts, error) {
	names, err := databases(ctx, q, agent, now)
	if err != nil {
		return nil, err
	}
	disputes, err := trailWarnings(ctx, q, agent.Name)
	if err != nil {
		return nil, err
	}
	agent.Status.Warnings = append(agent.Status.Warnings, disputes...)
	known, err := agentFacts(ctx, q, agent)
	if err != nil {
		return nil, err
	}
	var all []fleet.Facts
	for _, database := range names {
		f, err := facts(ctx, q, known, agent.Name, database, now)
		if err != nil {
			return nil, err
		}
		if f.Covered && f.NewestBackup != nil {
			known.NextRoundBytes += f.NewestBackup.SizeBytes
		}
		all = append(all, f)
	}
	for i := range all {
		all[i].Agent.NextRoundBytes = known.NextRoundBytes
	}
	return all, nil
}

// databases returns those that the instance has, and those of which there is a
// backup, or a run that says something: a name that somebody mistyped once is
// no database, while one that the schedule has missed of late is. The one that
// every instance has to connect to counts only where somebody backs it up.
func databases(ctx context.Context, q queryer, agent fleet.Agent, now time.Time) ([]string, error) {
	judged, exists := map[string]bool{}, map[string]bool{}
	for _, d := range agent.Status.Databases {
		exists[d.Name], judged[d.Name] = true, d.Covered || d.Name != fleet.MaintenanceDatabase
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

// agentFacts leaves what its next round will store to who has judged all of its
// databases.
func agentFacts(ctx context.Context, q queryer, agent fleet.Agent) (fleet.AgentFacts, error) {
	f := fleet.AgentFacts{LastSeenAt: agent.LastSeenAt, ClockOffset: agent.ClockOffset, Status: agent.Status, Duplicate: agent.Duplicate}
	err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM runs WHERE instance = ? AND state = 'running')`, agent.Name).Scan(&f.Busy)
	return f, err
}

func facts(ctx context.Context, q queryer, agent fleet.AgentFacts, instance, database string, now time.Time) (fleet.Facts, error) {
	f := fleet.Facts{Instance: instance, Database: database, Agent: agent, Warnings: agent.Status.Warnings}
	for _, d := range agent.Status.Databases {
		if d.Name == database {
			f.Exists, f.Covered = true, d.Covered
		}
	}
	for _, look := range []func(context.Context, queryer, *fleet.Facts, time.Time) error{
		newestBackup, sizesBefore, newestRun, runUnderWay, missingBackups, damagedBackups, newestProof, lastRestore,
	} {
		if err := look(ctx, q, &f, now); err != nil {
			return f, err
		}
	}
	return f, nil
}

// A clock that was ahead for a day leaves backups that are dated years ahead.
// Once it is right again, they must not hide for years what is made since.
func plausible(now time.Time) any { return micros(now.Add(fleet.ClockSkew)) }

func newestBackup(ctx context.Context, q queryer, f *fleet.Facts, now time.Time) error {
	backups, err := collect(ctx, q, scanBackup, `SELECT `+backupColumns+` FROM backups
		WHERE instance = ? AND database = ? AND state = 'present' AND complete = 1 AND proof_state <> 'failed'
		ORDER BY created_at > ?, created_at DESC LIMIT 1`,
		f.Instance, f.Database, plausible(now))
	if len(backups) == 1 {
		f.NewestBackup = &backups[0]
	}
	return err
}

// sizesBefore also reads what retention has removed by now: it was as large as it
// was.
func sizesBefore(ctx context.Context, q queryer, f *fleet.Facts, _ time.Time) (err error) {
	if f.NewestBackup == nil {
		return nil
	}
	at := f.NewestBackup.CreatedAt
	scan := func(r row) (s fleet.Size, err error) { return s, r.Scan(instant{&s.At}, &s.Stored, &s.Plain) }
	f.Sizes, err = collect(ctx, q, scan, `
		SELECT created_at, size_bytes, coalesce(json_extract(manifest, '$.plain_size_bytes'), 0) FROM backups
		WHERE instance = ? AND database = ? AND complete = 1 AND state <> 'damaged' AND created_at >= ? AND created_at < ? ORDER BY created_at`,
		f.Instance, f.Database, micros(at.Add(-fleet.SizeWindow)), micros(at))
	return err
}

// newestRun goes by the end: an attempt that was turned away because another was
// under way began later and ended sooner, and says nothing once the other has
// ended.
func newestRun(ctx context.Context, q queryer, f *fleet.Facts, _ time.Time) error {
	runs, err := collect(ctx, q, scanRun, `SELECT `+runColumns+` FROM runs
		WHERE instance = ? AND database = ? AND state <> 'running' ORDER BY finished_at DESC LIMIT 1`, f.Instance, f.Database)
	if len(runs) == 1 {
		f.NewestRun = &runs[0]
	}
	return err
}

// longestOf is how many of the last runs say how long one takes.
const longestOf = 10

func runUnderWay(ctx context.Context, q queryer, f *fleet.Facts, _ time.Time) error {
	running, err := collect(ctx, q, scanRun, `SELECT `+runColumns+` FROM runs
		WHERE instance = ? AND database = ? AND state = 'running' ORDER BY started_at LIMIT 1`, f.Instance, f.Database)
	if err != nil {
		return err
	}
	if len(running) == 1 {
		f.Running = &running[0]
	}
	var longest int64
	err = q.QueryRowContext(ctx, `SELECT coalesce(max(took), 0) FROM (SELECT finished_at - started_at AS took FROM runs
		WHERE instance = ? AND database = ? AND state = 'succeeded' ORDER BY started_at DESC LIMIT ?)`,
		f.Instance, f.Database, longestOf).Scan(&longest)
	f.LongestRun = time.Duration(longest) * time.Microsecond
	return err
}

// missingBackups leaves out what would be gone by now anyway, past its days.
func missingBackups(ctx context.Context, q queryer, f *fleet.Facts, now time.Time) error {
	return q.QueryRowContext(ctx, `SELECT count(*) FROM backups
		WHERE instance = ? AND database = ? AND state = 'missing' AND coalesce(retention_expires, 0) > ? AND created_at <= ?`,
		f.Instance, f.Database, micros(now), plausible(now)).Scan(&f.Missing)
}

func lastRestore(ctx context.Context, q queryer, f *fleet.Facts, _ time.Time) error {
	return q.QueryRowContext(ctx, `SELECT max(finished_at) FROM jobs
		WHERE kind = 'restore' AND state = 'succeeded' AND instance = ? AND json_extract(spec, '$.target_database') = ?`,
		f.Instance, f.Database).Scan(instant{&f.RestoredAt})
}
