package dump

import (
	"errors"
	"slices"
	"strings"
)

// maxDefinitions bounds what is kept in memory of a dump's definitions: room for some 500,000 objects.
const maxDefinitions = 256 << 20

// errManyDefinitions reports that a dump has more definitions than are kept in memory.
var errManyDefinitions = errors.New("the definitions of the dump are more than 256 MiB")

// Definitions are the statements of a plain dump without its rows, in the stages in which a load runs them. They are
// made by writing the SQL of the dump to them, without the rows of COPY.
type Definitions struct {
	Session  []string // settings, for every session
	Before   []Definition
	Rights   []Definition // GRANT and REVOKE
	Policies []Definition
	Copies   map[string]bool // each COPY of the dump, as it stands there
	After    []Definition    // indexes, constraints, triggers: what pg_dump calls post-data
	Keys     []Definition    // foreign keys
	Refresh  []Definition    // of materialized views
	Remarks  []Definition    // on constraints, which come in several stages
	Forced   []Definition    // row security that binds owners, too
	Last     []Definition    // what would be in the way of the others

	Owners map[string]bool       // every role that is to own something
	Owned  map[string]bool       // objects that get their owner, as GRANT has them
	Tables map[string]*Ownership // by the name as it stands in the dump

	Split    Splitter
	size     int
	Err      error
	settings string // that are in force for the next statement
	as       string // the role whose rights it is to have; "" is the session's
	postData bool
	created  *Ownership // of the object that was made last
}

// Definition is one statement.
type Definition struct {
	SQL      string
	Settings string     // SET statements to run it with; "" is none
	As       string     // the role to run it as, quoted as it stands in the dump; "" is the session's
	Owner    *Ownership // of the object that it makes; nil where that has none, or no expressions
}

// Statement reads the SQL of a definition.
func (d Definition) Statement() Statement {
	return Statement{SQL: d.SQL, Words: ReadWords(d.SQL, 0)}
}

// NewDefinitions returns the definitions of a dump of which nothing came yet.
func NewDefinitions() *Definitions {
	d := &Definitions{Copies: map[string]bool{}, Owners: map[string]bool{}, Tables: map[string]*Ownership{}, Owned: map[string]bool{}}
	d.Split.Emit = d.add
	return d
}

// Write implements io.Writer. It never fails: what is wrong is in Err, and a load says it.
func (d *Definitions) Write(p []byte) (int, error) {
	if d.Err == nil {
		_, d.Err = d.Split.Write(p)
	}
	return len(p), nil
}

// add takes the next statement.
func (d *Definitions) add(sql string) error {
	s := Statement{SQL: sql, Words: ReadWords(sql, 0)}
	if s.IsData() {
		if s.Begins("COPY") {
			d.Copies[sql] = true
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
		return &ContentError{Object: FirstWords(sql), Why: "pg_dump writes no such statement"}
	}
	d.postData = d.postData || s.isPostData()
	to := d.stage(s)
	*to = slices.Insert(*to, place(*to, s), Definition{SQL: sql, Settings: d.settings, As: d.as, Owner: d.owns(s)})
	return nil
}

// set takes what changes how later statements are run, and says whether it was that.
func (d *Definitions) set(s Statement) bool {
	switch {
	case s.Begins("SET", "SESSION", "AUTHORIZATION"):
		d.as = strings.TrimSpace(s.SQL[s.Words[2].End:])
		if strings.EqualFold(d.as, "DEFAULT") {
			d.as = ""
		}
	case s.Begins("RESET", "SESSION", "AUTHORIZATION"):
		d.as = ""
	case s.Begins("SET", "default_tablespace"):
		d.settings = ReplaceSetting(d.settings, "SET default_tablespace", s.SQL)
	case s.Begins("SET", "default_table_access_method"):
		d.settings = ReplaceSetting(d.settings, "SET default_table_access_method", s.SQL)
	case s.Begins("SET"):
		d.Session = append(d.Session, s.SQL)
	case s.Begins("SELECT", "pg_catalog.set_config"):
		// Every session of a load begins with an empty search path.
	default:
		return false
	}
	return true
}

// PlainStrings reports whether the dump's sessions have strings in which backslashes do not escape.
func (d *Definitions) PlainStrings() bool {
	plain := false
	for _, sql := range d.Session {
		if words := ReadWords(sql, 4); len(words) == 4 && words[1].Is("standard_conforming_strings") {
			plain = words[3].Is("on")
		}
	}
	return plain
}

// ReplaceSetting puts a SET into a list of them, in the place of one of the same parameter.
func ReplaceSetting(settings, prefix, sql string) string {
	var kept []string
	for one := range strings.SplitSeq(settings, ";\n") {
		if one != "" && !strings.HasPrefix(one, prefix+" ") {
			kept = append(kept, one)
		}
	}
	return strings.Join(append(kept, sql), ";\n")
}

// WithoutTablespace parts the tablespace that a statement is to be run with, "" for the default one, from its other settings:
// who runs it may have no right to make anything there.
func (d Definition) WithoutTablespace() (tablespace, settings string) {
	const prefix = "SET default_tablespace = "
	for one := range strings.SplitSeq(d.Settings, ";\n") {
		if text, ok := strings.CutPrefix(one, prefix); ok {
			tablespace = strings.Trim(text, "'")
		}
	}
	return tablespace, ReplaceSetting(d.Settings, strings.TrimSuffix(prefix, " = "), prefix+"''")
}

// IsData reports whether a statement is one of those with which a dump loads rows, large objects and the state of sequences.
func (s Statement) IsData() bool {
	switch {
	case s.Begins("COPY") && s.copiesRows(), s.Begins("BEGIN"), s.Begins("COMMIT"), s.Begins("SELECT", "pg_catalog.setval"):
		return true
	}
	for _, function := range []string{"lo_open", "lowrite", "lo_close"} {
		if s.Begins("SELECT", "pg_catalog."+function) {
			return true
		}
	}
	return false
}

// copiesRows reports whether a COPY loads the rows that follow it.
func (s Statement) copiesRows() bool {
	n := len(s.Words)
	return n > 3 && s.Words[n-2].Is("FROM") && s.Words[n-1].Is("stdin")
}

// isPostData reports whether a statement is one of those that pg_dump writes after the rows alone.
func (s Statement) isPostData() bool {
	for _, begin := range [][]string{
		{"CREATE", "INDEX"}, {"CREATE", "UNIQUE", "INDEX"}, {"CREATE", "TRIGGER"}, {"CREATE", "CONSTRAINT", "TRIGGER"}, {"CREATE", "RULE"},
		{"CREATE", "POLICY"}, {"CREATE", "STATISTICS"}, {"CREATE", "PUBLICATION"}, {"CREATE", "SUBSCRIPTION"}, {"CREATE", "EVENT", "TRIGGER"},
		{"ALTER", "INDEX"}, {"REFRESH"},
	} {
		if s.Begins(begin...) {
			return true
		}
	}
	return s.Does("TABLE", "ADD")
}

// stage is where a statement belongs.
func (d *Definitions) stage(s Statement) *[]Definition {
	about := func(object string) bool {
		return s.Begins("CREATE", object) || s.Begins("ALTER", object) || s.Begins("COMMENT", "ON", object)
	}
	forAll := s.Begins("CREATE", "EVENT", "TRIGGER") || s.Begins("ALTER", "EVENT", "TRIGGER") || s.Begins("COMMENT", "ON", "EVENT", "TRIGGER")
	switch {
	case s.Begins("GRANT"), s.Begins("REVOKE"):
		return &d.Rights
	case forAll, about("SUBSCRIPTION"), s.Begins("ALTER", "DEFAULT", "PRIVILEGES"):
		return &d.Last
	case s.Begins("REFRESH"):
		return &d.Refresh
	case s.Begins("CREATE", "POLICY"):
		return &d.Policies
	case s.Begins("ALTER", "TABLE") && strings.HasSuffix(s.SQL, " FORCE ROW LEVEL SECURITY"):
		return &d.Forced
	case s.Begins("ALTER", "TABLE") && strings.HasSuffix(s.SQL, " ENABLE ROW LEVEL SECURITY"):
		return &d.Policies
	case s.Begins("ALTER", "TABLE") && s.isForeignKey():
		return &d.Keys
	case d.postData && s.Begins("COMMENT", "ON", "CONSTRAINT"):
		return &d.Remarks
	case d.postData:
		return &d.After
	}
	return &d.Before
}

// isForeignKey reports whether an ALTER TABLE adds a foreign key: ADD CONSTRAINT name FOREIGN KEY.
func (s Statement) isForeignKey() bool {
	at := s.Find(2, "CONSTRAINT")
	return at > 0 && at+3 < len(s.Words) && s.Words[at+2].Is("FOREIGN") && s.Words[at+3].Is("KEY")
}

// Reference is the text between a keyword and the first of some others at no depth of parentheses, as "TABLE public.t" is
// between ALTER and OWNER; "" where there is none.
func (s Statement) Reference(after string, before ...string) string {
	depth, from := 0, -1
	for _, w := range s.Words {
		switch {
		case w.Quoted:
		case w.Text == "(":
			depth++
		case w.Text == ")":
			depth--
		case depth > 0:
		case from < 0 && w.Is(after):
			from = w.End
		case from >= 0:
			for _, keyword := range before {
				if w.Is(keyword) {
					return strings.TrimSpace(s.SQL[from:w.Start])
				}
			}
		}
	}
	return ""
}
