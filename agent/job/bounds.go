package job

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"regexp"
)

const (
	// maxJobs bounds the jobs that are under way or wait for their turn.
	maxJobs = 256
	// maxUntold bounds the results that a control plane has not acknowledged, each a file of the
	// state folder. One that goes on to ask for jobs and takes no results is none that works.
	maxUntold = 1000
	// maxDatabase bounds what stands in for a database's name, in bytes; PostgreSQL itself keeps 63.
	maxDatabase = 256
	maxReason   = 4 << 10
	maxPerson   = 256
)

var (
	// A name of something that is looked up: a backup, a transfer.
	lookedUp = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	// As control planes name instances.
	instanceName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
)

// errSpec reports that a job asks for what makes no sense, no matter who asks for it.
var errSpec = errors.New("the job is refused")

// check passes over a restore without a source.
func (s *Source) check() error {
	switch {
	case s == nil:
		return nil
	case !instanceName.MatchString(s.Instance):
		return fmt.Errorf("%w: %.64q is no name of an instance", errSpec, s.Instance)
	case !lookedUp.MatchString(s.TransferID):
		return fmt.Errorf("%w: %.64q is no id of a transfer", errSpec, s.TransferID)
	case len(s.Key) != 0 && len(s.Key) != ed25519.PublicKeySize:
		return fmt.Errorf("%w: a signing key has %d bytes, and not %d", errSpec, ed25519.PublicKeySize, len(s.Key))
	}
	return nil
}

func checkBackupID(id string) error {
	if !lookedUp.MatchString(id) {
		return fmt.Errorf("%w: %.64q is no id of a backup", errSpec, id)
	}
	return nil
}

func within(what, text string, limit int) error {
	if len(text) > limit {
		return fmt.Errorf("%w: the %s has %d bytes, and at most %d are taken", errSpec, what, len(text), limit)
	}
	return nil
}
