package postgres

import (
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// OwnPrefix begins the names of databases and roles that a restore makes for itself.
const OwnPrefix = "pgharbor_restore_"

// neededRoles are those of the roles that a script makes that are wanted, or that these are members of, in its order. members are
// those others that are members of a needed one. What a restore made for itself is neither.
func neededRoles(script []dump.Statement, wanted []string) (needed, members []string) {
	groups, belong := map[string][]string{}, map[string][]string{}
	for _, s := range script {
		if s.Begins("GRANT") && len(s.Words) > 3 && s.Words[2].Is("TO") {
			group, member := s.Name(1), s.Name(3)
			groups[member], belong[group] = append(groups[member], group), append(belong[group], member)
		}
	}
	up := reached(wanted, groups)
	down := reached(wanted, belong)
	for _, role := range rolesMade(script) {
		switch {
		case strings.HasPrefix(role, OwnPrefix):
		case up[role]:
			needed = append(needed, role)
		case down[role]:
			members = append(members, role)
		}
	}
	return needed, members
}

// reached are names and what they lead to, step by step.
func reached(names []string, to map[string][]string) map[string]bool {
	found := map[string]bool{}
	for left := slices.Clone(names); len(left) > 0; {
		name := left[0]
		left = left[1:]
		if !found[name] {
			found[name] = true
			left = append(left, to[name]...)
		}
	}
	return found
}
