package backup

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// temporaryPrefix begins the name of a database that a restore fills.
const temporaryPrefix = postgres.OwnPrefix

// ErrReserved reports that a name is kept for the databases that restores fill.
var ErrReserved = errors.New("names that begin with " + temporaryPrefix + " are those of restores under way")

// ErrTemplate reports that a name is that of a database that others are made of: what stands in it comes into each of them.
var ErrTemplate = errors.New("new databases are made of it, and would have what is restored; give another name")

// CheckTarget refuses to restore into a database that looks like one that a restore is filling, and into PostgreSQL's own templates.
func CheckTarget(name string) error {
	switch {
	case strings.HasPrefix(name, temporaryPrefix):
		return fmt.Errorf("%w: %q", ErrReserved, name)
	case name == "template0" || name == "template1":
		return fmt.Errorf("%s: %w", name, ErrTemplate)
	}
	return nil
}

// TemporaryDatabase is the name of the database that a restore fills.
func TemporaryDatabase(restoreID string) string { return temporaryPrefix + restoreID }
