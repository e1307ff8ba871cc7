package postgres

import (
	"cmp"
	"context"
	"strconv"
	"strings"
)

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
	if err := rights.give(ctx, s, "SCHEMA public"); err != nil { // it is there already
		return err
	}
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
	tablespace, settings := d.withoutTablespace()
	moved := definition{sql: strings.Replace(d.sql, schema+".", scratch+".", 1), settings: settings}
	if err := l.runWithPaths(ctx, s, sessionKey{owner: role}, moved, true); err != nil {
		return 0, contentError(strings.ToLower(kind)+" "+name, role, err)
	}
	signature := strings.Replace(name, schema+".", scratch+".", 1)
	statements := []string{"ALTER " + kind + " " + signature + " SET SCHEMA " + schema, next.sql, "DROP SCHEMA " + scratch + " CASCADE"}
	if tablespace != "" && kind == "TABLE" {
		statements = append(statements, "ALTER TABLE "+name+" SET TABLESPACE "+tablespace)
	}
	for _, sql := range statements {
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
		return contentError("table "+child.name, parent.owner, l.runWithPaths(ctx, s, sessionKey{owner: parent.owner}, d, true))
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
	if sqlState(err) != stateNoPrivilege {
		return err
	}
	return &ContentError{Object: object, Why: "its owner " + strconv.Quote(owner) + " can't load it", Err: err}
}
