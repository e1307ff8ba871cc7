package command

import (
	"fmt"
	"strings"

	"github.com/pgharbor/pgharbor/cli/output"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// verifySealed verifies the files of what was sealed off, which together reach from
// a head to the seal, and holds them to all that was seen of it.
func (a *app) verifySealed(files []string, after, sealed chain.Head, witnesses []chain.Witness) error {
	if !before(after, sealed) {
		return exit.Fail(exit.Failed, "--sealed: nothing of the trail was sealed off after entry %d", after.Sequence)
	}
	held := []chain.Witness{{Head: sealed, Name: "the control plane's seal"}}
	for _, w := range witnesses {
		if !before(sealed, w.Head) {
			held = append(held, w)
		}
	}
	verifier, err := chain.NewVerifierAfter(after, held...)
	if err != nil {
		return broken(err)
	}
	for _, file := range files {
		if err := broken(a.eachOf(file)(adding(verifier))); err != nil {
			return err
		}
	}
	if end := verifier.Head().Sequence; end != sealed.Sequence {
		return exit.Fail(exit.Failed, "--sealed: the files end with entry %d, and the trail was sealed off up to entry %d", end, sealed.Sequence)
	}
	return broken(verifier.End())
}

// before says whether a head comes before where a part of the trail begins, so that
// the part does not show whether it is the trail's.
func before(head, start chain.Head) bool { return head.Sequence < start.Sequence }

func seenBy(w chain.Witness) string { return fmt.Sprintf("%s: entry %d", w.Name, w.Head.Sequence) }

// allChecked is an error where somebody asked for a head, of a trail that holds after
// another one, that this does not show. It is no break: nothing says that it is wrong.
func allChecked(noted []chain.Witness, after chain.Head) error {
	for _, w := range noted {
		if before(w.Head, after) {
			return exit.Fail(exit.Failed, "--head %s can't be checked: entry %d is in what was sealed off, up to entry %d, and was not looked at; what comes after that holds",
				w.Head, w.Head.Sequence, after.Sequence).
				WithHint("the file that was sealed off shows it: pgharbor audit verify --sealed FILE --head %s", w.Head)
		}
	}
	return nil
}

// unchecked is a line for each who has seen only what was sealed off.
func unchecked(witnesses []chain.Witness, after chain.Head) (text string) {
	for _, w := range witnesses {
		if before(w.Head, after) {
			text += "  not checked therefore: " + output.Line(seenBy(w)) + "\n"
		}
	}
	return text
}

// warnOfUnchecked says at every run, until somebody has given the files or accepted,
// that what was verified before does not bind what stands before the seal.
func (a *app) warnOfUnchecked(memory *trailMemory, sealed chain.Head) {
	var heads []string
	for _, head := range memory.unchecked() {
		heads = append(heads, head.String())
	}
	if len(heads) > 0 {
		a.say("pgharbor: warning: what you verified before was sealed off since, with all up to entry %d, and is not checked: %s; hold the files of that to it: "+
			"pgharbor audit verify --sealed FILE, or forget it: pgharbor audit verify --accept", sealed.Sequence, strings.Join(heads, ", "))
	}
}
