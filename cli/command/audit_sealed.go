package command

import (
	"strings"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/trail"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// verifySealed verifies the files of what was sealed off, which together reach from
// a head to the seal, and holds them to all that was seen of it.
func verifySealed(a *app, files []string, after, sealed chain.Head, witnesses []chain.Witness) error {
	if !trail.Before(after, sealed) {
		return exit.Fail(exit.Failed, "--sealed: nothing of the trail was sealed off after entry %d", after.Sequence)
	}
	held := []chain.Witness{{Head: sealed, Name: "the control plane's seal"}}
	for _, w := range witnesses {
		if !trail.Before(sealed, w.Head) {
			held = append(held, w)
		}
	}
	verifier, err := chain.NewVerifierAfter(after, held...)
	if err != nil {
		return trail.Broken(err)
	}
	for _, file := range files {
		if err := trail.Broken(eachOf(a, file)(trail.Adding(verifier))); err != nil {
			return err
		}
	}
	if end := verifier.Head().Sequence; end != sealed.Sequence {
		return exit.Fail(exit.Failed, "--sealed: the files end with entry %d, and the trail was sealed off up to entry %d", end, sealed.Sequence)
	}
	return trail.Broken(verifier.End())
}

// warnOfUnchecked says at every run, until somebody has given the files or accepted,
// that what was verified before does not bind what stands before the seal.
func warnOfUnchecked(out *output.Printer, memory *trail.Memory, sealed chain.Head) {
	var heads []string
	for _, head := range memory.Unchecked() {
		heads = append(heads, head.String())
	}
	if len(heads) > 0 {
		out.Say("pgharbor: warning: what you verified before was sealed off since, with all up to entry %d, and is not checked: %s; hold the files of that to it: "+
			"pgharbor audit verify --sealed FILE, or forget it: pgharbor audit verify --accept", sealed.Sequence, strings.Join(heads, ", "))
	}
}
