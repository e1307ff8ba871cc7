package fleet

import "strings"

// reservedPrefix begins the names of the databases that agents fill for a restore.
const reservedPrefix = "pgharbor_restore_"

// CheckTarget reports whether a restore can make a database of this name; the error wraps
// ErrInvalid.
func CheckTarget(database string) error {
	switch {
	case database == "":
		return NewProblem(ErrInvalid, "a restore needs the name of the database to make")
	case strings.HasPrefix(database, reservedPrefix):
		return NewProblem(ErrInvalid, "%q is no name for a restored database: those that begin with %s are restores under way", database, reservedPrefix)
	default:
		return nil
	}
}
