package auditlog

import (
	"fmt"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Show prints what an audit log that holds was compared with.
func Show(out *output.Printer, verifier *chain.Verifier, after chain.Checkpoint, witnesses []chain.Witness) error {
	checkpoint := verifier.Checkpoint()
	verified := &pgharborv1.TrailVerification{Sequence: checkpoint.Sequence, Hash: checkpoint.Hash}
	if after.Valid() {
		verified.After = after.String()
	}
	for _, w := range witnesses {
		if !before(w.Checkpoint, after) {
			verified.Witnesses = append(verified.Witnesses, seenBy(w))
		}
	}
	return out.Print(verified, func() error {
		text := fmt.Sprintf("The audit log holds: %d entries, checkpoint %s\n", checkpoint.Sequence, checkpoint)
		if after.Valid() {
			text += fmt.Sprintf("Sealed off before that, and not looked at: entries 1 to %d, checkpoint %s\n", after.Sequence, after)
			text += unchecked(witnesses, after)
		}
		if len(verified.Witnesses) > 0 {
			text += "It is what was seen by:\n"
		}
		for _, w := range verified.GetWitnesses() {
			text += "  " + output.Line(w) + "\n"
		}
		_, err := fmt.Fprint(out.Stdout, text)
		return err
	})
}

// unchecked has a line for each witness who has seen only the part that was sealed off.
func unchecked(witnesses []chain.Witness, after chain.Checkpoint) (text string) {
	for _, w := range witnesses {
		if before(w.Checkpoint, after) {
			text += "  not checked therefore: " + output.Line(seenBy(w)) + "\n"
		}
	}
	return text
}

// seenBy reports who has seen the audit log, and up to where.
func seenBy(w chain.Witness) string {
	return fmt.Sprintf("%s: entry %d", w.Name, w.Checkpoint.Sequence)
}
