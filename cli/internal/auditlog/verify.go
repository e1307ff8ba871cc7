package auditlog

import (
	"errors"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Verify adds every entry to the verifier and ends it.
func Verify(verifier *chain.Verifier, entries Source) error {
	err := entries(adding(verifier))
	if err == nil {
		err = verifier.End()
	}
	return Broken(err)
}

func adding(verifier *chain.Verifier) func(*pgharborv1.AuditEntry) error {
	return func(e *pgharborv1.AuditEntry) error { return verifier.Add(EntryFrom(e)) }
}

// VerifyFile verifies an export. After is the checkpoint of the part before it; the zero Checkpoint
// if it is a whole
func VerifyFile(file Source, after chain.Checkpoint, witnesses []chain.Witness) (*chain.Verifier, error) {
	verifier, err := chain.NewVerifierAfter(after, witnesses...)
	if err != nil {
		return nil, Broken(err)
	}
	if err := Verify(verifier, file); err != nil {
		return nil, err
	}
	if verifier.Checkpoint().Sequence == after.Sequence {
		return nil, exit.Fail(exit.Integrity, "there are no entries in it: an audit log has at least one, and so this is none, or was cut off").
			WithHint("export it again: pgharbor audit export")
	}
	if err := AllChecked(witnesses, after); err != nil {
		return nil, err
	}
	return verifier, nil
}

// VerifySealed verifies the files of what was sealed off. Together they must reach from the
// checkpoint after to the seal, and match what the witnesses have seen.
func VerifySealed(files []Source, after, sealed chain.Checkpoint, witnesses []chain.Witness) error {
	if !before(after, sealed) {
		return exit.Fail(exit.Failed, "--sealed: nothing of the audit log was sealed off after entry %d", after.Sequence)
	}
	held := []chain.Witness{{Checkpoint: sealed, Name: "the control plane's seal"}}
	for _, w := range witnesses {
		if !before(sealed, w.Checkpoint) {
			held = append(held, w)
		}
	}
	verifier, err := chain.NewVerifierAfter(after, held...)
	if err != nil {
		return Broken(err)
	}
	for _, file := range files {
		if err := Broken(file(adding(verifier))); err != nil {
			return err
		}
	}
	if end := verifier.Checkpoint().Sequence; end != sealed.Sequence {
		return exit.Fail(exit.Failed, "--sealed: the files end with entry %d, and the audit log was sealed off up to entry %d", end, sealed.Sequence)
	}
	return Broken(verifier.End())
}

// Broken adds the exit code and the next step to the error of an audit log that does not hold.
func Broken(err error) error {
	if where := (*chain.Break)(nil); errors.As(err, &where) {
		return exit.Fail(exit.Integrity, "%w", where).
			WithHint("keep the catalog as it is, and compare with what agents hold: pgharbor-agent trail; docs/audit.md says more")
	}
	return err
}

// before returns whether a checkpoint is older than the beginning of a part, so that the part can't
// show whether the checkpoint belongs to the audit log.
func before(checkpoint, start chain.Checkpoint) bool { return checkpoint.Sequence < start.Sequence }

// AllChecked returns an error if one of the checkpoints that somebody asked for is older than what
// was verified. The audit log may still be right: nothing shows that it is wrong.
func AllChecked(given []chain.Witness, after chain.Checkpoint) error {
	for _, w := range given {
		if before(w.Checkpoint, after) {
			return exit.Fail(exit.Failed, "--head %s can't be checked: entry %d is in what was sealed off, up to entry %d, and was not looked at; what comes after that holds",
				w.Checkpoint, w.Checkpoint.Sequence, after.Sequence).
				WithHint("the file that was sealed off shows it: pgharbor audit verify --sealed FILE --head %s", w.Checkpoint)
		}
	}
	return nil
}

// SignedBy returns an error unless the control plane that the identity is of has signed this.
func SignedBy(identity *client.Identity, signed chain.Signed) error {
	key, err := identity.AuditKey(signed.Certified())
	if err != nil {
		return err
	}
	return signed.SignedBy(key)
}
