// Package random makes the ids of pgharbor: of runs, backups, jobs, requests and enrolments.
package random

import (
	"crypto/rand"
	"strings"
)

// ID returns an id that nobody can guess: 16 characters of base32 in lower case, 80 bits. It is
// safe in a file name, in a URI and in a command.
func ID() string { return strings.ToLower(rand.Text())[:16] }
