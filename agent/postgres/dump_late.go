package postgres

import (
	"slices"
	"strings"
)

// lateNames are what is made late: indexes, constraints, rules and triggers by their names, other objects as they are written.
type lateNames struct{ parts, objects map[string]bool }

// splitLate parts the statements that make indexes and statistics with expressions or conditions, and those that name these,
// from the others.
func splitLate(all []definition) (plain, late []definition) {
	names := lateNames{parts: map[string]bool{}, objects: map[string]bool{}}
	for _, d := range all {
		s := d.statement()
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

// in says whether a statement needs what is late.
func (l lateNames) in(s statement) bool {
	about := namesParts(s)
	for n, w := range s.words {
		conflict := n > 1 && s.words[n-2].is("ON") && s.words[n-1].is("CONSTRAINT") // ON CONFLICT ON CONSTRAINT
		if (about || conflict) && l.parts[unquoted(lastPart(w))] {
			return true
		}
	}
	return len(l.objects) > 0 && slices.ContainsFunc(s.ownNames(s.words), func(name string) bool { return l.objects[name] })
}

// add takes what a late statement makes.
func (l lateNames) add(s statement) {
	switch at := s.createdAt(); {
	case at > 0:
		l.objects[s.qualifiedName(at)] = true
	case s.begins("CREATE", "RULE"), s.begins("CREATE", "TRIGGER"):
		l.parts[s.name(2)] = true
	case s.begins("CREATE", "CONSTRAINT", "TRIGGER"):
		l.parts[s.name(3)] = true
	case s.begins("CREATE", "INDEX"):
		l.parts[s.name(2)] = true
	case s.begins("CREATE", "UNIQUE", "INDEX"):
		l.parts[s.name(3)] = true
	}
}

// partKinds are the kinds of object that may be late and have a name in their table or schema alone.
var partKinds = []string{"INDEX", "STATISTICS", "RULE", "TRIGGER"}

// namesParts says whether a statement is about such an object. All others name columns, which may be called as these are.
func namesParts(s statement) bool {
	for _, kind := range partKinds {
		if s.begins("ALTER", kind) || s.begins("COMMENT", "ON", kind) {
			return true
		}
	}
	return slices.ContainsFunc([]string{"CLUSTER", "REPLICA", "ENABLE", "DISABLE"}, func(action string) bool { return s.does("TABLE", action) })
}

// lastPart is the name in schema.name.
func lastPart(w word) string {
	if w.quoted {
		return w.text
	}
	return w.text[strings.LastIndexByte(w.text, '.')+1:]
}

// lateIndex says whether a statement makes an index or statistics with an expression or a condition, and how that is called.
func lateIndex(s statement) (name string, ok bool) {
	switch {
	case s.begins("CREATE", "STATISTICS"):
		_, name := splitQualified(s.qualifiedName(2))
		return unquoted(name), anyOf(between(s.words, "ON", "FROM"), "(")
	case s.begins("CREATE", "INDEX"):
		name = s.name(2)
	case s.begins("CREATE", "UNIQUE", "INDEX"):
		name = s.name(3)
	case s.begins("ALTER", "TABLE") && s.find(3, "EXCLUDE") > 0:
		name = s.name(s.find(3, "CONSTRAINT") + 1)
	default:
		return "", false
	}
	depth := 0
	for _, w := range s.words {
		switch {
		case w.quoted:
		case w.text == "(":
			if depth++; depth > 1 {
				return name, true
			}
		case w.text == ")":
			depth--
		case w.is("WHERE"):
			return name, true
		}
	}
	return name, false
}
