// Package subject says what a backup is of and what kind it is. Agent, control plane and CLI share it, so it is pure.
// Whoever groups, names or reads backups asks these types, and assumes neither pg_dump nor a database.
package subject

import (
	"errors"
	"fmt"
)

// ErrNewer reports a kind or a subject that this pgharbor does not know: a newer one made the backup.
var ErrNewer = errors.New("it is of a newer pgharbor")

// The words of subjects, on the wire, in manifests and in the catalog. None of them ever changes.
const (
	ofDatabase = "database"
	ofInstance = "instance" // the whole of it
)

// Subject is what a backup is of: a database by its name, or the whole instance. The zero value is a database whose name
// nobody knows. Two subjects are the same where they are equal by ==.
type Subject struct {
	word, database string
}

// Database is the subject that is one database; the empty name is the one that nobody knows.
func Database(name string) Subject {
	if name == "" {
		return Subject{}
	}
	return Subject{ofDatabase, name}
}

// Instance is the subject that is the whole instance.
func Instance() Subject { return Subject{word: ofInstance} }

// Read is the subject that a word and a database's name stand for in a manifest, on the wire and in the catalog. Without
// a word, as all had it before there was one, it is the database. A word that is not known is kept as it is. An error
// says that word and name contradict each other.
func Read(word, database string) (Subject, error) {
	switch {
	case word == "":
		return Database(database), nil
	case word == ofDatabase && database == "":
		return Subject{}, errors.New("its subject is a database, and it names none")
	case word == ofInstance && database != "":
		return Subject{}, fmt.Errorf("its subject is the whole instance, and it names the database %q", database)
	}
	return Subject{word, database}, nil
}

// Word is the subject's word, for a manifest, the wire and the catalog; "" for a database whose name nobody knows.
func (s Subject) Word() string { return s.word }

// Database returns the database's name; ok is false where the subject is no database, or one without a known name.
func (s Subject) Database() (name string, ok bool) {
	return s.database, s.word == ofDatabase
}

// Place is the name under which a store keeps what is of the subject: that of a database is its own name, and no other
// subject's is one that a database can have. It is "" for a database whose name nobody knows, which no store chooses a
// place for.
func (s Subject) Place() string {
	if s.word == ofDatabase || s == (Subject{}) {
		return s.database
	}
	place := "\x00" + s.word // no name of PostgreSQL has a NUL
	if s.database != "" {
		place += "\x00" + s.database
	}
	return place
}

// String names the subject for people.
func (s Subject) String() string {
	switch s.word {
	case "":
		return "a database whose name is not known"
	case ofDatabase:
		return fmt.Sprintf("database %q", s.database)
	case ofInstance:
		return "the whole instance"
	default:
		return fmt.Sprintf("%q %q", s.word, s.database)
	}
}
