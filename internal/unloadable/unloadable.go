// Package unloadable says what to do about a backup that is whole, and whose content no server
// takes as it is: the source holds what it would not take itself any more. Another backup of the
// same database ends in the same way.
package unloadable

import "regexp"

// if is the page with the ways out.
const where = `; what to do, and how to get at what is in this backup: "What does not come back" in docs/restore.md`

// reasons are what a server says, by its SQLSTATE, and what it means of the source.
var reasons = []struct {
	said  *regexp.Regexp
	means string
}{
	{
		// Class 23 is that of constraints.
		regexp.MustCompile(`\bSQLSTATE 23[0-9A-Z]{3}\b`),
		"rows in the source break this constraint, which PostgreSQL did not see when it, or what it calls, was changed, or while it was off: " +
			"mend the rows or the constraint there, and back up again",
	},
	{
		// Invalid object definition: of an index whose function is not immutable, of a generated column likewise.
		regexp.MustCompile(`\bSQLSTATE 42P17\b`),
		"the source was changed by what no dump has, such as ALTER FUNCTION … IMMUTABLE of a function that belongs to an extension: " +
			"let a function of your own call that one, use it in its place, and back up again",
	},
	{
		regexp.MustCompile(`\bSQLSTATE 42501\b`),
		"a role may not do again what it has done in the source: give it the right there, such as USAGE and CREATE on the schema of what is named, " +
			"and back up again; an agent that is no superuser may be who lacks it (\"An agent that is no superuser\" in docs/agent.md)",
	},
}

// NextStep is what to do after a load that failed with these words; "" if they report something
// else.
func NextStep(text string) string {
	for _, reason := range reasons {
		if reason.said.MatchString(text) {
			return reason.means + where
		}
	}
	return ""
}
