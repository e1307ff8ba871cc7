package backup

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// temporaryPrefix begins the name of a database that a restore fills.
const temporaryPrefix = postgres.OwnPrefix

// ErrReserved says that a name is kept for the databases that restores fill.
var ErrReserved = errors.New("names that begin with " + temporaryPrefix + " are those of restores under way")

// CheckTarget refuses to restore into a database that looks like one that a restore is filling.
func CheckTarget(name string) error {
	if strings.HasPrefix(name, temporaryPrefix) {
		return fmt.Errorf("%w: %q", ErrReserved, name)
	}
	return nil
}

// TemporaryDatabase is the name of the database that a restore fills.
func TemporaryDatabase(restoreID string) string { return temporaryPrefix + restoreID }
