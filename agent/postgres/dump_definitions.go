package postgres

import (
	"errors"
	"slices"
	"strings"
)

// maxDefinitions bounds what is kept in memory of a dump's definitions: room for some 500,000 objects.
const maxDefinitions = 256 << 20

// errManyDefinitions says that a dump has more definitions than are kept in memory.
var errManyDefinitions = errors.New("the definitions of the dump are more than 256 MiB")

// Definitions are the statements of a plain dump without its rows, in the stages in which LoadGuarded runs them. They are
// made by writing the SQL of the dump to them, without the rows of COPY.
type Definitions struct {
	session  []string // settings, for every session
	before   []definition
	rights   []definition // GRANT and REVOKE
	policies []definition
	copies   map[string]bool // each COPY of the dump, as it stands there
	after    []definition    // indexes, constraints, triggers: what pg_dump calls post-data
	keys     []definition    // foreign keys
	refresh  []definition    // of materialized views
	remarks  []definition    // on constraints, which come in several stages
	forced   []definition    // row security that binds owners, too
	last     []definition    // what would be in the way of the others

	owners map[string]bool       // every role that is to own something
	owned  map[string]bool       // objects that get their owner, as GRANT has them
	tables map[string]*ownership // by the name as it stands in the dump

	split    splitter
	size     int
	err      error
	settings string // that are in force for the next statement
	as       string // the role whose rights it is to have; "" is the session's
	postData bool
	created  *ownership // of the object that was made last
}

// definition is one statement.
type definition struct {
	sql      string
	settings string     // SET statements to run it with; "" is none
	as       string     // the role to run it as, quoted as it stands in the dump; "" is the session's
	owner    *ownership // of the object that it makes; nil where that has none, or no expressions
}

func (d definition) statement() statement {
	return statement{sql: d.sql, words: readWords(d.sql, 0)}
}

// NewDefinitions returns the definitions of a dump of which nothing came yet.
func NewDefinitions() *Definitions {
	d := &Definitions{copies: map[string]bool{}, owners: map[string]bool{}, tables: map[string]*ownership{}, owned: map[string]bool{}}
	d.split.emit = d.add
	return d
}

// Write implements io.Writer. It never fails: what is wrong is said by LoadGuarded.
func (d *Definitions) Write(p []byte) (int, error) {
	if d.err == nil {
		_, d.err = d.split.Write(p)
	}
	return len(p), nil
}

// add takes the next statement.
func (d *Definitions) add(sql string) error {
	s := statement{sql: sql, words: readWords(sql, 0)}
	if s.isData() {
		if s.begins("COPY") {
			d.copies[sql] = true
		}
		return nil
	}
	if d.size += len(sql) + 64; d.size > maxDefinitions {
		return errManyDefinitions
	}
	if d.set(s) {
		return nil
	}
	if !s.writtenByDump() {
		return &ContentError{Object: firstWords(sql), Why: "pg_dump writes no such statement"}
	}
	d.postData = d.postData || s.isPostData()
	to := d.stage(s)
	*to = slices.Insert(*to, place(*to, s), definition{sql: sql, settings: d.settings, as: d.as, owner: d.owns(s)})
	return nil
}

// set takes what changes how later statements are run, and says whether it was that.
func (d *Definitions) set(s statement) bool {
	switch {
	case s.begins("SET", "SESSION", "AUTHORIZATION"):
		d.as = strings.TrimSpace(s.sql[s.words[2].end:])
		if strings.EqualFold(d.as, "DEFAULT") {
			d.as = ""
		}
	case s.begins("RESET", "SESSION", "AUTHORIZATION"):
		d.as = ""
	case s.begins("SET", "default_tablespace"):
		d.settings = replaceSetting(d.settings, "SET default_tablespace", s.sql)
	case s.begins("SET", "default_table_access_method"):
		d.settings = replaceSetting(d.settings, "SET default_table_access_method", s.sql)
	case s.begins("SET"):
		d.session = append(d.session, s.sql)
	case s.begins("SELECT", "pg_catalog.set_config"):
		// Every session of a load begins with an empty search path.
	default:
		return false
	}
	return true
}

// plainStrings says whether the dump's sessions have strings in which backslashes do not escape.
func (d *Definitions) plainStrings() bool {
	plain := false
	for _, sql := range d.session {
		if words := readWords(sql, 4); len(words) == 4 && words[1].is("standard_conforming_strings") {
			plain = words[3].is("on")
		}
	}
	return plain
}

// replaceSetting puts a SET into a list of them, in the place of one of the same parameter.
func replaceSetting(settings, prefix, sql string) string {
	var kept []string
	for one := range strings.SplitSeq(settings, ";\n") {
		if one != "" && !strings.HasPrefix(one, prefix+" ") {
			kept = append(kept, one)
		}
	}
	return strings.Join(append(kept, sql), ";\n")
}

// withoutTablespace parts the tablespace that a statement is to be run with, "" for the default one, from its other settings:
// who runs it may have no right to make anything there.
func (d definition) withoutTablespace() (tablespace, settings string) {
	const prefix = "SET default_tablespace = "
	for one := range strings.SplitSeq(d.settings, ";\n") {
		if text, ok := strings.CutPrefix(one, prefix); ok {
			tablespace = strings.Trim(text, "'")
		}
	}
	return tablespace, replaceSetting(d.settings, strings.TrimSuffix(prefix, " = "), prefix+"''")
}

// isData says whether a statement is one of those with which a dump loads rows, large objects and the state of sequences.
func (s statement) isData() bool {
	switch {
	case s.begins("COPY") && s.copiesRows(), s.begins("BEGIN"), s.begins("COMMIT"), s.begins("SELECT", "pg_catalog.setval"):
		return true
	}
	for _, function := range []string{"lo_open", "lowrite", "lo_close"} {
		if s.begins("SELECT", "pg_catalog."+function) {
			return true
		}
	}
	return false
}

// copiesRows says whether a COPY loads the rows that follow it.
func (s statement) copiesRows() bool {
	n := len(s.words)
	return n > 3 && s.words[n-2].is("FROM") && s.words[n-1].is("stdin")
}

// isPostData says whether a statement is one of those that pg_dump writes after the rows alone.
func (s statement) isPostData() bool {
	for _, begin := range [][]string{
		{"CREATE", "INDEX"}, {"CREATE", "UNIQUE", "INDEX"}, {"CREATE", "TRIGGER"}, {"CREATE", "CONSTRAINT", "TRIGGER"}, {"CREATE", "RULE"},
		{"CREATE", "POLICY"}, {"CREATE", "STATISTICS"}, {"CREATE", "PUBLICATION"}, {"CREATE", "SUBSCRIPTION"}, {"CREATE", "EVENT", "TRIGGER"},
		{"ALTER", "INDEX"}, {"REFRESH"},
	} {
		if s.begins(begin...) {
			return true
		}
	}
	return s.does("TABLE", "ADD")
}

// stage is where a statement belongs.
func (d *Definitions) stage(s statement) *[]definition {
	about := func(object string) bool {
		return s.begins("CREATE", object) || s.begins("ALTER", object) || s.begins("COMMENT", "ON", object)
	}
	forAll := s.begins("CREATE", "EVENT", "TRIGGER") || s.begins("ALTER", "EVENT", "TRIGGER") || s.begins("COMMENT", "ON", "EVENT", "TRIGGER")
	switch {
	case s.begins("GRANT"), s.begins("REVOKE"):
		return &d.rights
	case forAll, about("SUBSCRIPTION"), s.begins("ALTER", "DEFAULT", "PRIVILEGES"):
		return &d.last
	case s.begins("REFRESH"):
		return &d.refresh
	case s.begins("CREATE", "POLICY"):
		return &d.policies
	case s.begins("ALTER", "TABLE") && strings.HasSuffix(s.sql, " FORCE ROW LEVEL SECURITY"):
		return &d.forced
	case s.begins("ALTER", "TABLE") && strings.HasSuffix(s.sql, " ENABLE ROW LEVEL SECURITY"):
		return &d.policies
	case s.begins("ALTER", "TABLE") && s.isForeignKey():
		return &d.keys
	case d.postData && s.begins("COMMENT", "ON", "CONSTRAINT"):
		return &d.remarks
	case d.postData:
		return &d.after
	}
	return &d.before
}

// isForeignKey says whether an ALTER TABLE adds a foreign key: ADD CONSTRAINT name FOREIGN KEY.
func (s statement) isForeignKey() bool {
	at := s.find(2, "CONSTRAINT")
	return at > 0 && at+3 < len(s.words) && s.words[at+2].is("FOREIGN") && s.words[at+3].is("KEY")
}

// reference is the text between a keyword and the first of some others at no depth of parentheses, as "TABLE public.t" is
// between ALTER and OWNER; "" where there is none.
func (s statement) reference(after string, before ...string) string {
	depth, from := 0, -1
	for _, w := range s.words {
		switch {
		case w.quoted:
		case w.text == "(":
			depth++
		case w.text == ")":
			depth--
		case depth > 0:
		case from < 0 && w.is(after):
			from = w.end
		case from >= 0:
			for _, keyword := range before {
				if w.is(keyword) {
					return strings.TrimSpace(s.sql[from:w.start])
				}
			}
		}
	}
	return ""
}
