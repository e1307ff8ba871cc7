package postgres

import (
	"fmt"
	"regexp"
	"strings"
)

// ToolError is the failure of a tool. Its text is fit to leave the host: the tool, how it ended, what it was at, and what
// the server refused it with. The tool's own words, which may quote rows and statements, are in Stderr, for people on
// this host.
type ToolError struct {
	Tool   string
	Exit   int    // the exit status; -1 where a signal ended it or it never started
	Stderr string // the end of what it said, at most 16 KiB
	Err    error  // why it was ended, or how it ended
}

// Error implements error.
func (e *ToolError) Error() string {
	text := fmt.Sprintf("%s: %v", e.Tool, e.Err)
	if at := failedAt(e.Stderr); at != "" {
		text += ", at " + at
	}
	if refused := e.Refusal(); refused != nil {
		text += ": " + refused.Error()
	}
	return text
}

// Unwrap returns the cause, such as that of a context's end, and what the server refused, where it did.
func (e *ToolError) Unwrap() []error {
	all := []error{}
	if e.Err != nil {
		all = append(all, e.Err)
	}
	if refused := e.Refusal(); refused != nil {
		all = append(all, refused)
	}
	return all
}

// Refusal is what the server refused the tool, as far as the tool tells it; nil where it does not. psql tells all of it.
// The other tools have English words and no SQLSTATE: what they are known to stand for is taken, and nothing else of them.
func (e *ToolError) Refusal() *ServerError {
	if refused := parseVerbose(e.Stderr); refused != nil {
		return refused
	}
	for _, phrase := range phrases {
		if phrase.words.MatchString(refusalLine(e.Stderr)) {
			return &ServerError{SQLState: phrase.sqlState}
		}
	}
	return nil
}

// verboseHeader is the first line of a message as libpq writes it with VERBOSITY=verbose. The severity is translated.
var verboseHeader = regexp.MustCompile(`^(?:psql:[^ ]*: )?\pL+:  ([0-9A-Z]{5}): `)

// parseVerbose finds the last error among the messages that psql printed with VERBOSITY=verbose; nil where there is none.
// The labels are libpq's, which speaks English here.
func parseVerbose(stderr string) *ServerError {
	var found *ServerError
	for line := range strings.Lines(stderr) {
		line = strings.TrimRight(line, "\r\n")
		if header := verboseHeader.FindStringSubmatch(line); header != nil {
			// Success, warnings and no data are no errors.
			if class := header[1][:2]; class != "00" && class != "01" && class != "02" {
				found = &ServerError{SQLState: header[1]}
			}
			continue
		}
		label, value, ok := strings.Cut(line, ":  ")
		if found == nil || !ok {
			continue
		}
		switch label {
		case "SCHEMA NAME":
			found.Schema = value
		case "TABLE NAME":
			found.Table = value
		case "COLUMN NAME":
			found.Column = value
		case "DATATYPE NAME":
			found.DataType = value
		case "CONSTRAINT NAME":
			found.Constraint = value
		case "LOCATION":
			found.routine, _, _ = strings.Cut(value, ",")
		}
	}
	return found
}

// refusalLine is the first line in which a tool quotes an error of the server or reports one of its connection.
func refusalLine(stderr string) string {
	for line := range strings.Lines(stderr) {
		for _, mark := range []string{"ERROR:  ", "FATAL:  ", "PANIC:  ", "server closed the connection", "connection to server"} {
			if strings.Contains(line, mark) {
				return line
			}
		}
	}
	return ""
}

// phrases are the SQLSTATEs of what servers say in English; the first that fits counts.
var phrases = []struct {
	sqlState string
	words    *regexp.Regexp
}{
	{"55P03", regexp.MustCompile(`canceling statement due to lock timeout`)},
	{"57014", regexp.MustCompile(`canceling statement due to`)},
	{"57P01", regexp.MustCompile(`terminating connection`)},
	{"57P03", regexp.MustCompile(`the database system is`)},
	{"28P01", regexp.MustCompile(`password authentication failed`)},
	{"28000", regexp.MustCompile(`FATAL:  (role ".*" does not exist|no pg_hba.conf entry)`)},
	{"3D000", regexp.MustCompile(`FATAL:  database ".*" does not exist`)},
	{"55000", regexp.MustCompile(`is not currently accepting connections`)},
	{"08006", regexp.MustCompile(`server closed the connection|connection to server .* failed`)},
	{"53100", regexp.MustCompile(`No space left on device`)},
	{"53200", regexp.MustCompile(`[Oo]ut of (shared )?memory`)},
	{"58030", regexp.MustCompile(`could not (extend|write|read) (to )?(file|block)`)},
	{"58P01", regexp.MustCompile(`could not (open extension control|access|load) (file|library)`)},
	{"0A000", regexp.MustCompile(`is not available|not supported by this build`)},
	{"42501", regexp.MustCompile(`permission denied|[Mm]ust be (superuser|owner|able|member)|row-level security policy for table`)},
	{"23505", regexp.MustCompile(`duplicate key value violates unique constraint|could not create unique index`)},
	{"23514", regexp.MustCompile(`violates check constraint|is violated by some row`)},
	{"23503", regexp.MustCompile(`violates foreign key constraint`)},
	{"23502", regexp.MustCompile(`violates not-null constraint|contains null values`)},
	{"23P01", regexp.MustCompile(`conflicting key value violates exclusion constraint`)},
	{"42P17", regexp.MustCompile(`ERROR:  (functions in index (expression|predicate) must be marked IMMUTABLE|generation expression is not immutable)`)},
	{"42883", regexp.MustCompile(`ERROR:  (function|operator|aggregate|procedure) .*does not exist`)},
	{"42P01", regexp.MustCompile(`ERROR:  (relation|table|view|sequence) .*does not exist`)},
	{"3F000", regexp.MustCompile(`ERROR:  schema ".*" does not exist`)},
	{"42P07", regexp.MustCompile(`ERROR:  relation ".*" already exists`)},
	{"42704", regexp.MustCompile(`ERROR:  .*does not exist|unrecognized configuration parameter`)},
	{"22023", regexp.MustCompile(`invalid value for parameter|invalid locale`)},
	{"42601", regexp.MustCompile(`syntax error at`)},
}

// These are how pg_restore and pg_dump say what they were at: the table, or dump id, catalog and object, and then the kind
// of an entry, its name and its owner.
var (
	tableLine = regexp.MustCompile(`^(?:pg_dump: error: Dumping the contents of|pg_restore: error: COPY failed for) table "([^"]+)"`)
	entryLine = regexp.MustCompile(`^pg_restore: from TOC entry \d+; \d+ \d+ ([A-Z][A-Z ]*[A-Z]) (.+)$`)
)

// failedAt is what a tool was at, such as "TABLE DATA goods shop": names, as everywhere; "" where it does not say.
func failedAt(stderr string) string {
	for line := range strings.Lines(stderr) {
		line = strings.TrimRight(line, "\r\n")
		if entry := entryLine.FindStringSubmatch(line); entry != nil {
			var names []string
			for name := range strings.FieldsSeq(entry[2]) {
				names = append(names, shownName(name))
			}
			return entry[1] + " " + strings.Join(names, " ")
		}
		if table := tableLine.FindStringSubmatch(line); table != nil {
			return "table " + shownName(table[1])
		}
	}
	return ""
}
