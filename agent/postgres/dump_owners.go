package postgres

import (
	"slices"
	"strings"
)

// ownership is who an object of a dump is to belong to. pg_dump says it after it made the object, before it makes the next.
type ownership struct {
	object string // "FUNCTION public.f(integer)", as it stands in ALTER … OWNER TO
	role   string // "" where the dump does not say
}

// owns keeps who is to have what a dump makes: the definition gets what a later statement fills in.
func (d *Definitions) owns(s statement) *ownership {
	if object, role := ownerChange(s); object != "" {
		d.owners[role], d.owned[inGrants(object)] = true, true
		if d.created != nil && d.created.role == "" && sameObject(object, d.created.object) {
			d.created.object, d.created.role = object, role
		}
		return nil
	}
	if !s.begins("CREATE") {
		return nil
	}
	d.created = nil
	if at := s.createdAt(); at > 0 {
		d.created = &ownership{object: s.qualifiedName(at)}
		if s.words[at-1].is("TABLE") {
			d.tables[d.created.object] = d.created
		}
	}
	return d.created
}

// place is where a statement comes among those of its stage: at their end. But a foreign table gets its owner before it is changed,
// which pg_dump writes the other way round: its wrapper reads the options of columns, as whoever gives them.
func place(all []definition, s statement) int {
	at := len(all)
	if object, _ := ownerChange(s); !strings.HasPrefix(object, "FOREIGN TABLE ") {
		return at
	}
	for ; at > 0; at-- {
		before := all[at-1].statement()
		if object, _ := ownerChange(before); object != "" || !before.begins("ALTER", "FOREIGN", "TABLE") {
			break
		}
	}
	return at
}

// sameObject says whether an object as ALTER has it, "FUNCTION public.f(integer)", is called by a name.
func sameObject(object, name string) bool {
	return strings.HasSuffix(object, " "+name) || strings.Contains(object, " "+name+"(")
}

// owned are the kinds of object with an owner whose definition may hold expressions.
var owned = []string{"TABLE", "VIEW", "FUNCTION", "PROCEDURE", "AGGREGATE", "DOMAIN", "STATISTICS"}

// createdAt is the position of the name of what a CREATE makes, where that is one of the owned; -1 where it is not.
func (s statement) createdAt() int {
	at := 1
	if s.begins("CREATE", "OR", "REPLACE") {
		at = 3
	}
	if at < len(s.words) && slices.ContainsFunc([]string{"UNLOGGED", "FOREIGN", "MATERIALIZED"}, s.words[at].is) {
		at++
	}
	if at+1 < len(s.words) && slices.ContainsFunc(owned, s.words[at].is) {
		return at + 1
	}
	return -1
}

// nameEnd is the position after the qualified name that begins at one. A name in quotes is a word of its own, and so is the
// dot beside it.
func (s statement) nameEnd(at int) int {
	n := at + 1
	for ; n < len(s.words); n++ {
		last, next := s.words[n-1], s.words[n]
		joined := !last.quoted && strings.HasSuffix(last.text, ".") || !next.quoted && strings.HasPrefix(next.text, ".")
		if next.start != last.end || !joined {
			break
		}
	}
	return n
}

// qualifiedName is the name that begins at a position, as it stands there.
func (s statement) qualifiedName(at int) string {
	if at < 0 || at >= len(s.words) {
		return ""
	}
	return s.sql[s.words[at].start:s.words[s.nameEnd(at)-1].end]
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

// grantKinds are the kinds of object that GRANT calls otherwise than ALTER … OWNER TO does, or that it has two names for. A
// relation is a TABLE to both, whatever it is else: no two have one name.
var grantKinds = [][2]string{
	{"VIEW ", "TABLE "}, {"MATERIALIZED VIEW ", "TABLE "}, {"FOREIGN TABLE ", "TABLE "}, {"SEQUENCE ", "TABLE "},
	{"DOMAIN ", "TYPE "}, {"PROCEDURAL LANGUAGE ", "LANGUAGE "}, {"SERVER ", "FOREIGN SERVER "},
}

// inGrants is an object as GRANT has it.
func inGrants(object string) string {
	for _, kind := range grantKinds {
		if name, ok := strings.CutPrefix(object, kind[0]); ok {
			return kind[1] + name
		}
	}
	return object
}
