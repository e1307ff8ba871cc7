package backup

import (
	"errors"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/internal/words"
)

var (
	// ErrDamaged reports that a file is not what was stored: its size, hash or format does not hold.
	ErrDamaged = errors.New("the file is damaged")
	// ErrIncomplete reports that a dump has no end marker.
	ErrIncomplete = errors.New("the dump is incomplete: it has no end marker")
	// ErrForged reports that a manifest is not what its agent signed, or stands where it does not belong.
	ErrForged = errors.New("the manifest is not what the agent signed")
	// ErrUnsigned reports that a manifest of this agent has no signature, although the agent has signed all since it began to.
	ErrUnsigned = errors.New("the manifest has no signature, and this agent signs every one")
	// ErrUnknownOrigin reports that nothing proves who made a file, and that what was asked for takes such a proof.
	ErrUnknownOrigin = errors.New("nothing proves that an agent of yours made this file")
	// ErrSandboxedOnly is ErrUnknownOrigin, of what was asked for of such a file beside a new database that has it sandboxed.
	ErrSandboxedOnly = fmt.Errorf("%w", ErrUnknownOrigin)
	// ErrSandboxed reports that a load failed that was sandboxed, which may be why.
	ErrSandboxed = errors.New("confined, because nothing proves who made the file")
	// ErrForeign reports that a dump would make psql do what no dump asks for: run programs or leave its database.
	ErrForeign = errors.New("the dump has a psql command that pg_dump does not write, such as \\! or \\connect")
	// ErrNoPassphrase reports that a file is sealed and no passphrase is at hand.
	ErrNoPassphrase = errors.New("the file is encrypted and no passphrase is configured")
	// ErrWrongPassphrase reports that a file is sealed with none of the passphrases at hand.
	ErrWrongPassphrase = errors.New("the passphrase is wrong")
	// ErrTargetExists reports that the database to restore into exists.
	ErrTargetExists = errors.New("the target database exists already")
	// ErrNotFound reports that there is no such backup, or its file is gone.
	ErrNotFound = errors.New("no such backup")
	// ErrNotAllowed reports that the host does not let the control plane ask for something.
	ErrNotAllowed = errors.New("does not allow")
	// ErrBusy reports that another run works on the database.
	ErrBusy = errors.New("another run works on this database")
)

// Words of a failure, for the wire and for exit codes.
const (
	FailureIntegrity  = words.FailureIntegrity
	FailurePassphrase = words.FailurePassphrase
	FailureExists     = words.FailureExists
	FailureNotFound   = words.FailureNotFound
	FailureNotAllowed = words.FailureNotAllowed
	FailureContent    = words.FailureContent
	FailureOther      = words.FailureOther
)

// Failure returns the word for what went wrong; "" for no error.
func Failure(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrNotAllowed):
		return FailureNotAllowed
	case errors.Is(err, ErrSandboxedOnly): // nothing is wrong with the file
		return FailureOther
	// Before damage: what is not found comes with the manifests that could not be read.
	case errors.Is(err, ErrNotFound), errors.Is(err, postgres.ErrNoDatabase):
		return FailureNotFound
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrIncomplete), errors.Is(err, ErrForged), errors.Is(err, ErrUnsigned), errors.Is(err, ErrUnknownOrigin):
		return FailureIntegrity
	case errors.Is(err, ErrNoPassphrase), errors.Is(err, ErrWrongPassphrase):
		return FailurePassphrase
	case errors.Is(err, ErrTargetExists):
		return FailureExists
	case errors.Is(err, ErrContent):
		return FailureContent
	default:
		return FailureOther
	}
}
