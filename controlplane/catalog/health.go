package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/intact"
	"github.com/pgharbor/pgharbor/internal/subject"
)

// runsCount is for how long a scheduled run makes its database one to evaluate.
const runsCount = 7 * 24 * time.Hour

// Facts returns what is known of every database of every agent that was not revoked.
// An instance of which no database is known has one row, with an empty name. The rows
// of an instance are of the same moment, and no more than its share of databases; one
// look at a fleet is many short ones.
func (c *Catalog) Facts(ctx context.Context, now time.Time) ([]fleet.Facts, error) {
	agents, err := collect(ctx, c.db, scanAgent, `SELECT `+agentColumns+` FROM agents WHERE revoked_at IS NULL ORDER BY name`)
	if err != nil {
		return nil, err
	}
	var all []fleet.Facts
	for _, agent := range agents {
		err := c.reading(ctx, func(tx *sql.Tx) error {
			ofAgent, err := instanceFacts(ctx, tx, agent, c.share.Databases, now)
			all = append(all, ofAgent...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func instanceFacts(ctx context.Context, q queryer, agent fleet.Agent, most int, now time.Time) ([]fleet.Facts, error) {
	names, err := databases(ctx, q, agent, most, now)
	if err != nil {
		return nil, err
	}
	disputes, err := auditLogWarnings(ctx, q, agent.Name)
	if err != nil {
		return nil, err
	}
	agent.Status.Warnings = append(agent.Status.Warnings, disputes...)
	all := make([]fleet.Facts, len(names))
	l := &look{q: q, agent: fleet.AgentFacts{LastSeenAt: agent.LastSeenAt, ClockOffset: agent.ClockOffset, Status: agent.Status, Duplicate: agent.Duplicate, Refused: agent.Refused},
		instance: agent.Name, names: names, of: map[string]*fleet.Facts{}, now: now}
	for n, name := range names {
		all[n] = fleet.Facts{Instance: agent.Name, Database: name, Warnings: agent.Status.Warnings}
		l.of[name] = &all[n]
	}
	for _, d := range agent.Status.Databases {
		if f := l.of[d.Name]; f != nil {
			f.Exists, f.Covered, f.SeenSince = true, d.Covered, d.SeenSince
		}
	}
	for _, at := range []func(context.Context) error{
		l.newestBackups, l.sizesBefore, l.newestRuns, l.runsUnderWay, l.wrongBackups, l.newestTestRestores, l.lastRestores,
	} {
		if err := at(ctx); err != nil {
			return nil, err
		}
	}
	for _, f := range all {
		if f.Covered && f.NewestBackup != nil {
			l.agent.NextRunBytes = fleet.AddSizes(l.agent.NextRunBytes, f.NewestBackup.SizeBytes)
		}
	}
	for n := range all {
		all[n].Agent = l.agent
	}
	return all, nil
}

// databases returns those that the instance has, and those of which there is a backup, or a run
// that says something: a name that somebody mistyped once is no database, while one that the
// schedule has missed recently is. The one that every instance has to connect to counts only if
// somebody backs it up. Of more than an agent may have, those that exist come first.
func databases(ctx context.Context, q queryer, agent fleet.Agent, most int, now time.Time) ([]string, error) {
	relevant := map[string]bool{}
	maintenance := "" // if the instance has it
	for _, d := range agent.Status.Databases {
		if relevant[d.Name] = d.Covered || d.Name != fleet.MaintenanceDatabase; !relevant[d.Name] {
			maintenance = d.Name
		}
	}
	scan := func(r row) (name string, err error) { return name, r.Scan(&name) }
	// The names of all backups, each found by the one before it: there are few
	// databases and very many backups.
	known, err := collect(ctx, q, scan, `
		WITH RECURSIVE kept (database) AS (
			SELECT min(database) FROM backups WHERE instance = ?1 AND state <> 'removed'
			UNION ALL SELECT (SELECT min(database) FROM backups WHERE instance = ?1 AND state <> 'removed' AND database > kept.database)
			FROM kept WHERE database IS NOT NULL)
		SELECT database FROM kept WHERE database IS NOT NULL
		UNION SELECT database FROM runs WHERE instance = ?1 AND trigger = 'schedule' AND started_at > ?2
		UNION SELECT ?3 WHERE EXISTS (SELECT 1 FROM runs WHERE instance = ?1 AND database = ?3) LIMIT ?4`,
		agent.Name, micros(now.Add(-runsCount)), maintenance, most)
	names := []string{}
	for _, d := range agent.Status.Databases {
		if relevant[d.Name] && d.Name != "" && len(names) < most {
			names = append(names, d.Name)
		}
	}
	for _, name := range known {
		if !relevant[name] && name != "" && len(names) < most {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		names = []string{""}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// look gathers the facts of all databases of one instance: a query for each kind
// of fact, whose rows name their database.
type look struct {
	q        queryer
	agent    fleet.AgentFacts
	instance string
	names    []string
	of       map[string]*fleet.Facts // by database
	now      time.Time
}

// list is a JSON text, for json_each.
func list(all any) (string, error) {
	text, err := json.Marshal(all)
	return string(text), err
}

// A clock that was ahead for a day leaves backups that are dated years ahead.
// Once it is right again, they must not hide for years what is made since.
func (l *look) plausible() any { return micros(l.now.Add(fleet.ClockSkew)) }

// ofDumps is the kind by which a database is evaluated: one of another kind is no newer
// dump, and no dump's size is held against it.
var ofDumps = `kind = '` + subject.Logical.Word() + `'`

// newestBackups fills in of each what health evaluates and shows.
func (l *look) newestBackups(ctx context.Context) error {
	names, err := list(l.names)
	if err != nil {
		return err
	}
	// The rule of intact.Is, by an index.
	good := `instance = ?2 AND database = named.value AND ` + ofDumps + ` AND state = '` + intact.Present + `' AND complete = 1 AND proof_state <> '` + intact.TestRestoreFailed + `'`
	newest, err := collect(ctx, l.q, func(r row) (b fleet.Backup, err error) {
		b.Instance, b.State, b.Complete = l.instance, fleet.BackupPresent, true
		return b, r.Scan(&b.Database, &b.ID, instant{&b.CreatedAt}, &b.SizeBytes, &b.Manifest.PlainSizeBytes, &b.Manifest.Encrypted)
	}, `
		SELECT database, backups.id, created_at, size_bytes, plain_size_bytes, encrypted FROM json_each(?1) AS named CROSS JOIN backups INDEXED BY backups_judged ON `+good+`
			AND created_at = coalesce(
				(SELECT created_at FROM backups WHERE `+good+` AND created_at <= ?3 ORDER BY created_at DESC LIMIT 1),
				(SELECT created_at FROM backups WHERE `+good+` ORDER BY created_at DESC LIMIT 1))`,
		names, l.instance, l.plausible())
	for n := range newest {
		l.of[newest[n].Database].NewestBackup = &newest[n]
	}
	return err
}

// sizesOf bounds the sizes of one database; anyone who backs up each quarter of an hour has fewer
// in a week.
const sizesOf = 700

// sizesBefore also reads what retention has removed by now: it was as large as it
// was.
func (l *look) sizesBefore(ctx context.Context) error {
	type window struct {
		Database string `json:"database"`
		From     int64  `json:"from"`
		To       int64  `json:"to"`
	}
	var windows []window
	for _, f := range l.of {
		if f.NewestBackup != nil {
			at := f.NewestBackup.CreatedAt
			windows = append(windows, window{f.Database, at.Add(-fleet.SizeWindow).UnixMicro(), at.UnixMicro()})
		}
	}
	windowed, err := list(windows)
	if err != nil {
		return err
	}
	_, err = collect(ctx, l.q, func(r row) (s fleet.Size, err error) {
		var database string
		if err := r.Scan(&database, instant{&s.At}, &s.Stored, &s.Plain); err != nil {
			return s, err
		}
		l.of[database].Sizes = append(l.of[database].Sizes, s)
		return s, nil
	}, `
		SELECT database, created_at, size_bytes, plain_size_bytes FROM json_each(?1) AS judged CROSS JOIN backups INDEXED BY backups_judged
			ON instance = ?2 AND database = judged.value ->> 'database' AND `+ofDumps+` AND created_at < judged.value ->> 'to'
			AND created_at >= max(judged.value ->> 'from', coalesce((SELECT created_at FROM backups AS before WHERE before.instance = ?2
				AND before.database = judged.value ->> 'database' AND before.`+ofDumps+` AND before.created_at < judged.value ->> 'to' ORDER BY before.created_at DESC LIMIT 1 OFFSET ?3), 0))
			AND complete = 1 AND state <> 'damaged'
		ORDER BY judged.key, created_at`, windowed, l.instance, sizesOf)
	return err
}

// shownBytes bounds the words that are kept of a run or a test restore while a fleet is looked at:
// each of its databases has them, and a sentence is shown.
const shownBytes = 4 << 10

// scanEvaluated scans of a run what is evaluated and shown.
func scanEvaluated(r row) (fleet.Run, error) {
	run, err := scanRun(r)
	run.Error, run.Warnings = fleet.Cut(run.Error, shownBytes), nil
	return run, err
}

// newestRuns uses the end: an attempt that was turned away because another was under way began
// later and ended sooner, and says nothing once the other has ended.
func (l *look) newestRuns(ctx context.Context) error {
	names, err := list(l.names)
	if err != nil {
		return err
	}
	runs, err := collect(ctx, l.q, scanEvaluated, `SELECT `+runColumns+` FROM runs WHERE rowid IN (
		SELECT (SELECT rowid FROM runs WHERE instance = ?2 AND database = named.value AND state <> 'running' ORDER BY finished_at DESC LIMIT 1)
		FROM json_each(?1) AS named)`, names, l.instance)
	for n := range runs {
		l.of[runs[n].Database].NewestRun = &runs[n]
	}
	return err
}

// longestOf is how many of the last runs say how long one takes.
const longestOf = 10

func (l *look) runsUnderWay(ctx context.Context) error {
	running, err := collect(ctx, l.q, scanEvaluated, `SELECT `+runColumns+` FROM runs
		WHERE instance = ? AND state = 'running' ORDER BY started_at DESC LIMIT ?`, l.instance, fleet.RunsUnderWay)
	l.agent.Busy = len(running) > 0
	for n := range running {
		f := l.of[running[n].Database]
		if f == nil || err != nil {
			continue
		}
		f.Running = &running[n]
		f.LongestRun, err = l.longestRun(ctx, f.Database)
	}
	return err
}

func (l *look) longestRun(ctx context.Context, database string) (time.Duration, error) {
	var longest int64
	err := l.q.QueryRowContext(ctx, `SELECT coalesce(max(took), 0) FROM (SELECT finished_at - started_at AS took FROM runs
		WHERE instance = ? AND database = ? AND state = 'succeeded' ORDER BY started_at DESC LIMIT ?)`,
		l.instance, database, longestOf).Scan(&longest)
	return time.Duration(longest) * time.Microsecond, err
}

// wrongBackups leaves out what would be gone by now anyway, past its days. What is
// held or kept without an end never would.
func (l *look) wrongBackups(ctx context.Context) error {
	type wrong struct {
		database         string
		missing, damaged int
		damage           string
	}
	// SQLite takes the other columns of the row that has the max.
	found, err := collect(ctx, l.q, func(r row) (w wrong, err error) {
		var newest any
		return w, r.Scan(&w.database, &w.missing, &w.damaged, &w.damage, &newest)
	}, `
		SELECT database, sum(state = 'missing'), sum(state = 'damaged'), coalesce(iif(damage = '', suspect, damage), ''),
			max(iif(state = 'damaged', created_at, NULL))
		FROM backups INDEXED BY backups_wrong WHERE instance = ? AND state IN ('missing', 'damaged') AND created_at <= ?
			AND (held = 1 OR retention_expires IS NULL OR retention_expires > ?) GROUP BY database`,
		l.instance, l.plausible(), micros(l.now))
	for _, w := range found {
		f := l.of[w.database]
		if f == nil {
			continue
		}
		if f.Missing, f.Damaged = w.missing, w.damaged; w.damaged > 0 {
			f.Damage = w.damage
		}
	}
	return err
}

func (l *look) lastRestores(ctx context.Context) error {
	_, err := collect(ctx, l.q, func(r row) (none struct{}, err error) {
		var database string
		var at time.Time
		if err := r.Scan(&database, instant{&at}); err != nil {
			return none, err
		}
		if f := l.of[database]; f != nil {
			f.RestoredAt = at
		}
		return none, nil
	}, `SELECT json_extract(spec, '$.target_database') AS target, max(finished_at) FROM jobs
		WHERE kind = 'restore' AND state = 'succeeded' AND instance = ? AND target IS NOT NULL GROUP BY target`, l.instance)
	return err
}
