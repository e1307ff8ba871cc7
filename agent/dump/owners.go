package dump

import (
	"slices"
	"strings"
)

// Ownership is who an object of a dump is to belong to. pg_dump says it after it made the object, before it makes the next.
type Ownership struct {
	Object string // "FUNCTION public.f(integer)", as it stands in ALTER … OWNER TO
	Role   string // "" where the dump does not say
}

// owns keeps who is to have what a dump makes: the definition gets what a later statement fills in.
func (d *Definitions) owns(s Statement) *Ownership {
	if object, role := OwnerChange(s); object != "" {
		d.Owners[role], d.Owned[InGrants(object)] = true, true
		if d.created != nil && d.created.Role == "" && sameObject(object, d.created.Object) {
			d.created.Object, d.created.Role = object, role
		}
		return nil
	}
	if !s.Begins("CREATE") {
		return nil
	}
	d.created = nil
	if at := s.CreatedAt(); at > 0 {
		d.created = &Ownership{Object: s.QualifiedName(at)}
		if s.Words[at-1].Is("TABLE") {
			d.Tables[d.created.Object] = d.created
		}
	}
	return d.created
}

// place is where a statement comes among those of its stage: at their end. But a foreign table gets its owner before it is changed,
// which pg_dump writes the other way round: its wrapper reads the options of columns, as whoever gives them.
func place(all []Definition, s Statement) int {
	at := len(all)
	if object, _ := OwnerChange(s); !strings.HasPrefix(object, "FOREIGN TABLE ") {
		return at
	}
	for ; at > 0; at-- {
		before := all[at-1].Statement()
		if object, _ := OwnerChange(before); object != "" || !before.Begins("ALTER", "FOREIGN", "TABLE") {
			break
		}
	}
	return at
}

// sameObject reports whether an object as ALTER has it, "FUNCTION public.f(integer)", is called by a name.
func sameObject(object, name string) bool {
	return strings.HasSuffix(object, " "+name) || strings.Contains(object, " "+name+"(")
}

// owned are the kinds of object with an owner whose definition may hold expressions.
var owned = []string{"TABLE", "VIEW", "FUNCTION", "PROCEDURE", "AGGREGATE", "DOMAIN", "STATISTICS"}

// CreatedAt is the position of the name of what a CREATE makes, where that is one of the owned; -1 where it is not.
func (s Statement) CreatedAt() int {
	at := 1
	if s.Begins("CREATE", "OR", "REPLACE") {
		at = 3
	}
	if at < len(s.Words) && slices.ContainsFunc([]string{"UNLOGGED", "FOREIGN", "MATERIALIZED"}, s.Words[at].Is) {
		at++
	}
	if at+1 < len(s.Words) && slices.ContainsFunc(owned, s.Words[at].Is) {
		return at + 1
	}
	return -1
}

// nameEnd is the position after the qualified name that begins at one. A name in quotes is a word of its own, and so is the
// dot beside it.
func (s Statement) nameEnd(at int) int {
	n := at + 1
	for ; n < len(s.Words); n++ {
		last, next := s.Words[n-1], s.Words[n]
		joined := !last.Quoted && strings.HasSuffix(last.Text, ".") || !next.Quoted && strings.HasPrefix(next.Text, ".")
		if next.Start != last.End || !joined {
			break
		}
	}
	return n
}

// QualifiedName is the name that begins at a position, as it stands there.
func (s Statement) QualifiedName(at int) string {
	if at < 0 || at >= len(s.Words) {
		return ""
	}
	return s.SQL[s.Words[at].Start:s.Words[s.nameEnd(at)-1].End]
}

// OwnerChange reads ALTER object OWNER TO role; object is "" where the statement is another one.
func OwnerChange(s Statement) (object, role string) {
	if !s.Begins("ALTER") || len(s.Words) < 5 {
		return "", ""
	}
	last := len(s.Words) - 3
	if !s.Words[last].Is("OWNER") || !s.Words[last+1].Is("TO") {
		return "", ""
	}
	return strings.TrimSpace(s.SQL[s.Words[0].End:s.Words[last].Start]), s.Words[last+2].Text
}

// grantKinds are the kinds of object that GRANT calls otherwise than ALTER … OWNER TO does, or that it has two names for. A
// relation is a TABLE to both, whatever it is else: no two have one name.
var grantKinds = [][2]string{
	{"VIEW ", "TABLE "}, {"MATERIALIZED VIEW ", "TABLE "}, {"FOREIGN TABLE ", "TABLE "}, {"SEQUENCE ", "TABLE "},
	{"DOMAIN ", "TYPE "}, {"PROCEDURAL LANGUAGE ", "LANGUAGE "}, {"SERVER ", "FOREIGN SERVER "},
}

// InGrants is an object as GRANT has it.
func InGrants(object string) string {
	for _, kind := range grantKinds {
		if name, ok := strings.CutPrefix(object, kind[0]); ok {
			return kind[1] + name
		}
	}
	return object
}
