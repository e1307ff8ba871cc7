package trail

import (
	"errors"
	"fmt"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// VerifyEach adds every entry to the verifier and ends it.
func VerifyEach(verifier *chain.Verifier, each func(add func(*pgharborv1.AuditEntry) error) error) error {
	err := each(Adding(verifier))
	if err == nil {
		err = verifier.End()
	}
	return Broken(err)
}

// Adding returns what adds the entries of the wire to a verifier.
func Adding(verifier *chain.Verifier) func(*pgharborv1.AuditEntry) error {
	return func(e *pgharborv1.AuditEntry) error { return verifier.Add(EntryFrom(e)) }
}

// Broken names what is wrong with a trail that does not hold.
func Broken(err error) error {
	if where := (*chain.Break)(nil); errors.As(err, &where) {
		return exit.Fail(exit.Integrity, "%w", where).
			WithHint("keep the catalog as it is, and compare with what agents hold: pgharbor-agent trail; docs/audit.md says more")
	}
	return err
}

// Before says whether a head comes before where a part of the trail begins, so that
// the part does not show whether it is the trail's.
func Before(head, start chain.Head) bool { return head.Sequence < start.Sequence }

// SeenBy says who has seen the trail, and up to where.
func SeenBy(w chain.Witness) string { return fmt.Sprintf("%s: entry %d", w.Name, w.Head.Sequence) }

// AllChecked is an error where somebody asked for a head, of a trail that holds after
// another one, that this does not show. It is no break: nothing says that it is wrong.
func AllChecked(noted []chain.Witness, after chain.Head) error {
	for _, w := range noted {
		if Before(w.Head, after) {
			return exit.Fail(exit.Failed, "--head %s can't be checked: entry %d is in what was sealed off, up to entry %d, and was not looked at; what comes after that holds",
				w.Head, w.Head.Sequence, after.Sequence).
				WithHint("the file that was sealed off shows it: pgharbor audit verify --sealed FILE --head %s", w.Head)
		}
	}
	return nil
}

// Unchecked is a line for each who has seen only what was sealed off.
func Unchecked(witnesses []chain.Witness, after chain.Head) (text string) {
	for _, w := range witnesses {
		if Before(w.Head, after) {
			text += "  not checked therefore: " + output.Line(SeenBy(w)) + "\n"
		}
	}
	return text
}

// SignedBy returns an error unless the control plane that the identity is of has signed this.
func SignedBy(identity *client.Identity, signed chain.Signed) error {
	key, err := identity.TrailKey(signed.Certified())
	if err != nil {
		return err
	}
	return signed.SignedBy(key)
}
