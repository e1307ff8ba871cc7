package dump

import (
	"slices"
	"strings"
)

// lateNames are what is made late: indexes, constraints, rules and triggers by their names, other objects as they are written.
type lateNames struct{ parts, objects map[string]bool }

// SplitLate parts the statements that make indexes and statistics with expressions or conditions, and those that name these,
// from the others.
func SplitLate(all []Definition) (plain, late []Definition) {
	names := lateNames{parts: map[string]bool{}, objects: map[string]bool{}}
	for _, d := range all {
		s := d.Statement()
		name, isLate := lateIndex(s)
		if isLate {
			names.parts[name] = true
		} else if isLate = names.in(s); isLate {
			names.add(s)
		}
		if isLate {
			late = append(late, d)
		} else {
			plain = append(plain, d)
		}
	}
	return plain, late
}

// in reports whether a statement needs what is late.
func (l lateNames) in(s Statement) bool {
	about := namesParts(s)
	for n, w := range s.Words {
		conflict := n > 1 && s.Words[n-2].Is("ON") && s.Words[n-1].Is("CONSTRAINT") // ON CONFLICT ON CONSTRAINT
		if (about || conflict) && l.parts[Unquoted(lastPart(w))] {
			return true
		}
	}
	return len(l.objects) > 0 && slices.ContainsFunc(s.OwnNames(s.Words), func(name string) bool { return l.objects[name] })
}

// add takes what a late statement makes.
func (l lateNames) add(s Statement) {
	switch at := s.CreatedAt(); {
	case at > 0:
		l.objects[s.QualifiedName(at)] = true
	case s.Begins("CREATE", "RULE"), s.Begins("CREATE", "TRIGGER"):
		l.parts[s.Name(2)] = true
	case s.Begins("CREATE", "CONSTRAINT", "TRIGGER"):
		l.parts[s.Name(3)] = true
	case s.Begins("CREATE", "INDEX"):
		l.parts[s.Name(2)] = true
	case s.Begins("CREATE", "UNIQUE", "INDEX"):
		l.parts[s.Name(3)] = true
	}
}

// partKinds are the kinds of object that may be late and have a name in their table or schema alone.
var partKinds = []string{"INDEX", "STATISTICS", "RULE", "TRIGGER"}

// namesParts reports whether a statement is about such an object. All others name columns, which may be called as these are.
func namesParts(s Statement) bool {
	for _, kind := range partKinds {
		if s.Begins("ALTER", kind) || s.Begins("COMMENT", "ON", kind) {
			return true
		}
	}
	return slices.ContainsFunc([]string{"CLUSTER", "REPLICA", "ENABLE", "DISABLE"}, func(action string) bool { return s.Does("TABLE", action) })
}

// lastPart is the name in schema.name.
func lastPart(w Word) string {
	if w.Quoted {
		return w.Text
	}
	return w.Text[strings.LastIndexByte(w.Text, '.')+1:]
}

// lateIndex reports whether a statement makes an index or statistics with an expression or a condition, and how that is called.
func lateIndex(s Statement) (name string, ok bool) {
	switch {
	case s.Begins("CREATE", "STATISTICS"):
		_, name := SplitQualified(s.QualifiedName(2))
		return Unquoted(name), anyOf(between(s.Words, "ON", "FROM"), "(")
	case s.Begins("CREATE", "INDEX"):
		name = s.Name(2)
	case s.Begins("CREATE", "UNIQUE", "INDEX"):
		name = s.Name(3)
	case s.Begins("ALTER", "TABLE") && s.Find(3, "EXCLUDE") > 0:
		name = s.Name(s.Find(3, "CONSTRAINT") + 1)
	default:
		return "", false
	}
	depth := 0
	for _, w := range s.Words {
		switch {
		case w.Quoted:
		case w.Text == "(":
			if depth++; depth > 1 {
				return name, true
			}
		case w.Text == ")":
			depth--
		case w.Is("WHERE"):
			return name, true
		}
	}
	return name, false
}
