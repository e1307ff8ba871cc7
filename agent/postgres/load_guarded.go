package postgres

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// GuardedLoad is a load of a dump whose code gains nothing by it.
//
// A dump holds code of the roles that own its objects: functions, and what calls them while a load goes on, such as checks,
// generated columns, the expressions of partitions and indexes. A superuser that loads rows runs all of it as a superuser. So
// here the superuser runs only statements that run nobody's code. What may run code is run by a login that is no superuser
// and a member of nothing but the role that owns the table, or by the superuser where only superusers wrote that code. Owners
// and rights are given before any code runs, so that none of it meets a function that it may not call.
type GuardedLoad struct {
	Definitions *Definitions // of the same dump, as it was verified
	// Archive is for the custom format; nil for a plain dump.
	Archive *ArchiveLoad
	// Plain is the plain dump, once more. Of its SQL only COPY and what sets sequences and large objects is run again.
	Plain io.Reader
	// SearchPath is the one with which sessions of the database begin: the code in it may look for names there.
	SearchPath string
	Jobs       int    // sessions at once, for indexes and constraints; at least 1
	OnTable    func() // the rows of a table are loaded; may be called by several goroutines at a time
}

// ContentError says that something in a dump can't be loaded so that its code gains nothing.
type ContentError struct {
	Object string // "table public.t"
	Why    string
	Err    error // what the server answered; may be nil
}

// Error implements error.
func (e *ContentError) Error() string {
	if e.Err == nil {
		return e.Object + ": " + e.Why
	}
	return e.Object + ": " + e.Why + ": " + e.Err.Error()
}

// Unwrap returns what the server answered.
func (e *ContentError) Unwrap() error { return e.Err }

// LoadGuarded runs a dump into an empty database, which is to be dropped if it fails: there is no transaction around the
// whole, so that any number of objects can be loaded. It returns how many rows of each table the server took. A
// *ContentError says that the dump can't be loaded in this way.
func (i *Instance) LoadGuarded(ctx context.Context, database string, load GuardedLoad) (map[Table]int64, error) {
	if err := load.Definitions.err; err != nil {
		return nil, err
	}
	server, err := i.Server(ctx)
	if err != nil {
		return nil, err
	}
	l := &guardedLoader{Instance: i, GuardedLoad: load, database: database, server: server,
		logins: map[string]*Instance{}, rows: map[Table]int64{}}
	defer l.closeLogins()
	sessions := l.newSessions()
	defer sessions.close(ctx)
	err = l.load(ctx, sessions)
	return l.rows, err
}

// guardedLoader is a GuardedLoad under way.
type guardedLoader struct {
	*Instance
	GuardedLoad
	database string
	server   Server

	// code are the names of what others than superusers wrote: functions, operators, domains, views. Empty where all code
	// of the database is a superuser's.
	code map[string]bool

	mu     sync.Mutex // guards what follows
	logins map[string]*Instance
	made   int // roles for logins
	rows   map[Table]int64
	types  checkedTypes
}

// load goes through the stages.
func (l *guardedLoader) load(ctx context.Context, s *loadSessions) error {
	d := l.Definitions
	rights := newRights(d.rights)
	if err := l.before(ctx, s, rights); err != nil {
		return err
	}
	if err := rights.rest(ctx, s); err != nil {
		return err
	}
	var err error
	if l.code, err = l.codeNames(ctx, s); err != nil {
		return err
	}
	after := d.after
	if l.server.Superuser {
		err = s.runAll(ctx, d.policies)
	} else {
		after = slices.Concat(d.policies, after) // they would bind who loads the rows
	}
	if err != nil {
		return err
	}
	if l.Archive != nil {
		err = l.loadArchive(ctx)
	} else {
		err = l.loadPlain(ctx, s)
	}
	if err != nil {
		return err
	}
	if err := l.after(ctx, s, after); err != nil {
		return err
	}
	if err := l.dropLogins(ctx, s); err != nil {
		return err
	}
	return s.runAll(ctx, d.last)
}

// rights are the grants of a dump. Those of schemas and functions are given as soon as these have their owner, for code may
// run before all objects are made; the others when all are.
type rights struct {
	all []definition
	of  map[string][]int // by "FUNCTION public.f()": positions in all
	ran []bool
}

func newRights(all []definition) *rights {
	r := &rights{all: all, of: map[string][]int{}, ran: make([]bool, len(all))}
	for n, d := range all {
		s := statement{sql: d.sql, words: readWords(d.sql, 0)}
		if object := s.reference("ON", "TO", "FROM"); object != "" {
			r.of[object] = append(r.of[object], n)
		}
	}
	return r
}

// give runs the grants on an object that got its owner.
func (r *rights) give(ctx context.Context, s *loadSessions, object string) error {
	for _, n := range r.of[object] {
		if r.ran[n] {
			continue
		}
		r.ran[n] = true
		if err := s.run(ctx, r.all[n]); err != nil {
			return err
		}
	}
	return nil
}

// rest runs those that were not run yet.
func (r *rights) rest(ctx context.Context, s *loadSessions) error {
	for n, d := range r.all {
		if r.ran[n] {
			continue
		}
		if err := s.run(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// before makes the objects that rows and indexes need. Where one is to have an owner, the next statement says so.
func (l *guardedLoader) before(ctx context.Context, s *loadSessions, rights *rights) error {
	all := l.Definitions.before
	for n := 0; n < len(all); n++ {
		st := statement{sql: all[n].sql, words: readWords(all[n].sql, 0)}
		switch {
		case runsCode(st):
			owner := definition{}
			if n+1 < len(all) {
				owner = all[n+1]
			}
			taken, err := l.createWithCode(ctx, s, all[n], st, owner)
			if err != nil {
				return err
			}
			n += taken
		case st.begins("ALTER", "TABLE") && st.find(3, "ATTACH") > 0:
			if err := l.attach(ctx, s, all[n], st); err != nil {
				return err
			}
		default:
			if err := s.run(ctx, all[n]); err != nil {
				return err
			}
		}
		if object, _ := ownerChange(st); object != "" {
			if err := rights.give(ctx, s, object); err != nil {
				return err
			}
		}
	}
	return nil
}

// ownerChange reads ALTER object OWNER TO role; object is "" where the statement is another one.
func ownerChange(s statement) (object, role string) {
	if !s.begins("ALTER") || len(s.words) < 5 {
		return "", ""
	}
	last := len(s.words) - 3
	if !s.words[last].is("OWNER") || !s.words[last+1].is("TO") {
		return "", ""
	}
	return strings.TrimSpace(s.sql[s.words[0].end:s.words[last].start]), s.words[last+2].text
}

// runsCode says whether making an object runs code that the dump brings: the server computes the constant parts of a
// partition's expression and of a generated column, and hands an aggregate's first value to its type.
func runsCode(s statement) bool {
	switch {
	case s.begins("CREATE", "TABLE"), s.begins("CREATE", "UNLOGGED", "TABLE"), s.begins("CREATE", "FOREIGN", "TABLE"):
		return partitionsByExpression(s) || s.find(3, "GENERATED") > 0
	case s.begins("CREATE", "AGGREGATE"):
		return s.find(3, "INITCOND") > 0 || s.find(3, "MINITCOND") > 0
	}
	return false
}

// partitionsByExpression says whether PARTITION BY names more than columns.
func partitionsByExpression(s statement) bool {
	depth, by := 0, false
	for n, w := range s.words {
		switch {
		case w.quoted:
		case w.text == "(":
			if depth++; by && depth > 1 {
				return true
			}
		case w.text == ")":
			depth--
		case depth == 0 && w.is("PARTITION") && n+1 < len(s.words) && s.words[n+1].is("BY"):
			by = true
		}
	}
	return false
}

// createWithCode makes an object by its owner's login, in a schema of that login alone, and moves it to where it belongs.
// taken is 1 where it ran the owner's statement too.
func (l *guardedLoader) createWithCode(ctx context.Context, s *loadSessions, d definition, st statement, next definition) (taken int, err error) {
	change := statement{sql: next.sql, words: readWords(next.sql, 0)}
	object, role := ownerChange(change)
	kind, name, _ := strings.Cut(object, " ")
	schema, _ := splitQualified(name)
	trusted := role == "" || schema == ""
	if !trusted {
		if trusted, err = l.trusts(ctx, s, role); err != nil {
			return 0, err
		}
	}
	if trusted {
		if l.code, err = l.codeNames(ctx, s); err != nil {
			return 0, err
		}
		if code := l.mentions(st); code != "" {
			return 0, &ContentError{Object: cmp.Or(strings.ToLower(kind)+" "+name, st.sql[:min(len(st.sql), 80)]), Why: "it belongs to a superuser and calls " + code + ", which does not"}
		}
		return 0, s.run(ctx, d)
	}
	login, err := s.as(ctx, role)
	if err != nil {
		return 0, err
	}
	scratch := quoteName(login.user())
	if err := s.runSQL(ctx, "CREATE SCHEMA "+scratch+" AUTHORIZATION "+scratch); err != nil {
		return 0, err
	}
	moved := definition{sql: strings.Replace(d.sql, schema+".", scratch+".", 1), settings: d.settings}
	if err := login.run(ctx, moved); err != nil {
		return 0, contentError(strings.ToLower(kind)+" "+name, role, err)
	}
	signature := strings.Replace(name, schema+".", scratch+".", 1)
	for _, sql := range []string{"ALTER " + kind + " " + signature + " SET SCHEMA " + schema, next.sql, "DROP SCHEMA " + scratch + " CASCADE"} {
		if err := s.runSQL(ctx, sql); err != nil {
			return 0, err
		}
	}
	return 1, nil
}

// attach makes a table a partition, for which the server may compute checks and expressions of both.
func (l *guardedLoader) attach(ctx context.Context, s *loadSessions, d definition, st statement) error {
	parent, err := l.table(ctx, s, strings.TrimPrefix(st.reference("TABLE", "ATTACH"), "ONLY "))
	if err != nil {
		return err
	}
	child, err := l.table(ctx, s, st.reference("PARTITION", "FOR", "DEFAULT"))
	if err != nil {
		return err
	}
	if !parent.code && !child.code {
		return s.run(ctx, d)
	}
	if !parent.trusted && parent.owner == child.owner {
		login, err := s.as(ctx, parent.owner)
		if err != nil {
			return err
		}
		return contentError("table "+child.name, parent.owner, login.run(ctx, d))
	}
	for _, t := range []tableInfo{parent, child} {
		if err := l.superusersOnly(ctx, s, t); err != nil {
			return err
		}
	}
	return s.run(ctx, d)
}

// contentError names the object whose code was refused what it needs when it ran as its owner.
func contentError(object, owner string, err error) error {
	if err == nil || sqlState(err) == "" {
		return err
	}
	return &ContentError{Object: object, Why: "its owner " + strconv.Quote(owner) + " can't load it", Err: err}
}

// splitQualified parts schema and name, as they stand there; the schema is "" where there is none.
func splitQualified(qualified string) (schema, name string) {
	words := readWords(qualified, 2)
	if len(words) == 0 {
		return "", qualified
	}
	at := words[0].end
	if !words[0].quoted {
		dot := strings.IndexByte(words[0].text, '.')
		if dot < 0 {
			return "", qualified
		}
		at = dot
	}
	if at >= len(qualified) || qualified[at] != '.' {
		return "", qualified
	}
	return qualified[:at], qualified[at+1:]
}

// unquoted is a name as the catalog has it.
func unquoted(name string) string {
	words := readWords(name, 1)
	if len(words) == 1 && words[0].quoted {
		return words[0].text
	}
	return name
}

// tableOf is the table that a qualified name in a dump means.
func tableOf(qualified string) Table {
	schema, name := splitQualified(qualified)
	return Table{Schema: unquoted(schema), Name: unquoted(name)}
}

// errNotDumped says that what is loaded is not what was verified.
var errNotDumped = errors.New("the dump changed after it was verified")

// count adds to the rows of a table.
func (l *guardedLoader) count(table Table, rows int64) {
	l.mu.Lock()
	l.rows[table] += rows
	l.mu.Unlock()
	l.OnTable()
}
