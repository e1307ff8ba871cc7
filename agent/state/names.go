package state

import "regexp"

// What the files of each store are called.
const (
	entrySuffix = ".json"
	lockName    = ".lock" // of the file whose lock a store's writers take
)

var (
	// entryID keeps an id from leaving its folder.
	entryID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	jobID   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
)

// ValidID reports whether an id can name a record in the folder.
func ValidID(id string) bool { return entryID.MatchString(id) }

// ValidJobID reports whether an id is one of a job or a restore. It is also safe in
// the name of a file and of a database.
func ValidJobID(id string) bool { return jobID.MatchString(id) }
