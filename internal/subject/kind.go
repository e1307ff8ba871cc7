package subject

import (
	"cmp"
	"fmt"
)

// Kind is how a backup was made, which decides what can be done with it. The zero value is Logical. Two kinds are the
// same where they are equal by ==.
type Kind struct {
	word string // "" is Logical's
}

// logical is the word of Logical. On the wire, in manifests and in the catalog no kind's word ever changes.
const logical = "logical"

// Logical is the kind of a dump by pg_dump: SQL, or an archive of it.
var Logical = Kind{}

// endings are what the names of a kind's files have in the place of their type, by the format of the manifest. A kind
// that is not here is not known. An ending is up to 16 lower-case letters.
var endings = map[Kind]map[string]string{
	Logical: {"plain": "sql", "custom": "dump"},
}

// ReadKind is the kind of a word in a manifest, on the wire and in the catalog. Without a word it is Logical, as all were
// before there was one. A word that is not known is kept as it is.
func ReadKind(word string) Kind {
	if word == logical {
		word = ""
	}
	return Kind{word}
}

// Word is the kind's word, for a manifest, the wire and the catalog; it is never empty.
func (k Kind) Word() string { return cmp.Or(k.word, logical) }

// String implements fmt.Stringer.
func (k Kind) String() string { return k.Word() }

// Known reports whether this pgharbor knows the kind.
func (k Kind) Known() bool { return endings[k] != nil }

// Ending is what the name of a file of this kind has after its time, such as "sql"; "" where the kind has no such format.
func (k Kind) Ending(format string) string { return endings[k][format] }

// Series is what backups have in common that follow one another: their subject and their kind. A newer backup takes the
// place of an older one of the same series, and of no other. It may be the key of a map.
type Series struct {
	Subject Subject
	Kind    Kind
}

// Key is a text that no other series has. That of a database's dumps is the name of the database, by which the chains of
// signatures know them.
func (s Series) Key() string {
	if s.Kind == Logical {
		return s.Subject.Place()
	}
	return "\x00" + s.Kind.Word() + "\x00" + s.Subject.Place() // no name of PostgreSQL has a NUL
}

// LogicalOf is the series of the dumps of a database.
func LogicalOf(database string) Series { return Series{Database(database), Logical} }

// Check returns nil where this pgharbor can restore and verify the backups of a series, and ErrNewer where it can only
// keep, hash and send them.
func (s Series) Check() error {
	if !s.Kind.Known() {
		return fmt.Errorf("%w: its kind is %q", ErrNewer, s.Kind)
	}
	if _, ok := s.Subject.Database(); s.Kind == Logical && !ok && s.Subject != Database("") {
		return fmt.Errorf("%w: it is a logical dump of %s", ErrNewer, s.Subject)
	}
	return nil
}

// String names the series for people. The usual kind goes without saying.
func (s Series) String() string {
	if s.Kind == Logical {
		return s.Subject.String()
	}
	return fmt.Sprintf("%s, by %q", s.Subject, s.Kind)
}
