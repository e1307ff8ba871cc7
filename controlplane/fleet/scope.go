package fleet

import (
	"slices"
	"strings"
)

// Scope is the part of the fleet that somebody may touch: the instances whose
// name one of its globs matches. Without a glob it is the whole fleet.
//
// A glob is made of what names are made of and of the two signs of MatchGlob.
// GLOB in the catalog's SQLite has a third, which no glob of a scope may hold, so
// that the two are of one opinion.
type Scope []string

// maxGlobs bounds what a query has to match.
const maxGlobs = 32

// NewScope returns the scope of some globs, in one order and each once. One
// that matches every name makes it the whole fleet. A glob that is none is
// ErrInvalid.
func NewScope(globs ...string) (Scope, error) {
	var s Scope
	whole := false
	for _, glob := range globs {
		if err := validGlob(glob); err != nil {
			return nil, err
		}
		whole = whole || strings.Trim(glob, "*") == ""
		s = append(s, glob)
	}
	if whole {
		return nil, nil
	}
	slices.Sort(s)
	if s = slices.Compact(s); len(s) > maxGlobs {
		return nil, NewProblem(ErrInvalid, "a scope has at most %d globs, not %d", maxGlobs, len(s))
	}
	return s, nil
}

// Whole reports whether nothing is left out.
func (s Scope) Whole() bool { return len(s) == 0 }

// Covers reports whether an instance is in scope.
func (s Scope) Covers(instance string) bool {
	return s.Whole() || slices.ContainsFunc(s, func(glob string) bool { return MatchGlob(glob, instance) })
}

// Within reports whether the scope covers nothing that outer does not, as far as its
// globs show it: each of them is one of outer's too.
func (s Scope) Within(outer Scope) bool {
	return outer.Whole() || !s.Whole() && !slices.ContainsFunc(s, func(glob string) bool { return !slices.Contains(outer, glob) })
}

// String is the scope as a sentence has it.
func (s Scope) String() string {
	if s.Whole() {
		return "the whole fleet"
	}
	return strings.Join(s, ",")
}
