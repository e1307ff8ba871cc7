package chain

import (
	"fmt"
	"slices"
)

// What an audit log can have suffered.
const (
	Edited    = "edited"
	Dropped   = "dropped"
	Reordered = "reordered"
	CutOff    = "cut off"
	Rewritten = "rewritten"
)

// Break is the first place where an audit log does not hold.
type Break struct {
	// Sequence is the first entry that is wrong or missing. Of an audit log that was Rewritten with
	// new hashes, it is the first that can be: those before it are attested.
	Sequence int64
	Kind     string
	text     string
}

func (b *Break) Error() string { return b.text }

func broken(sequence int64, kind, format string, args ...any) *Break {
	return &Break{sequence, kind, fmt.Sprintf(format, args...)}
}

// Witness is somebody who has seen a checkpoint.
type Witness struct {
	Checkpoint Checkpoint
	Name       string // as in "NAME has seen …"
}

// Verifier walks an audit log from its first entry on. It keeps no more of it than the last entry.
// Make it with NewVerifier.
type Verifier struct {
	last      Entry
	witnesses []Witness // those that the audit log has yet to reach, in their order
	attested  int64     // the last entry up to which a witness agrees
	seal      *Seal     // the one that no entry has spoken of yet
}

// NewVerifier holds an audit log to what the witnesses have seen.
func NewVerifier(witnesses ...Witness) *Verifier {
	v := &Verifier{witnesses: slices.Clone(witnesses)}
	slices.SortStableFunc(v.witnesses, func(a, b Witness) int { return int(a.Checkpoint.Sequence - b.Checkpoint.Sequence) })
	return v
}

// NewVerifierAfter is for an audit log whose entries up to a checkpoint were sealed off: the first
// to be added is the next. What witnesses have seen of the part before it is for the files of that
// to be held to. It returns a *Break if one has seen the checkpoint otherwise.
func NewVerifierAfter(sealed Checkpoint, witnesses ...Witness) (*Verifier, error) {
	v := NewVerifier(witnesses...)
	v.last = Entry{Sequence: sealed.Sequence, Hash: sealed.Hash}
	for len(v.witnesses) > 0 && v.witnesses[0].Checkpoint.Sequence <= sealed.Sequence {
		w := v.witnesses[0]
		v.witnesses = v.witnesses[1:]
		switch {
		case w.Checkpoint.Sequence < sealed.Sequence:
		case w.Checkpoint.Hash != sealed.Hash:
			return nil, broken(v.attested+1, Rewritten, "the audit log was rewritten before it was sealed off: entry %d has the hash %s, and %s has seen it with %s",
				sealed.Sequence, sealed.Hash, w.Name, w.Checkpoint.Hash)
		default:
			v.attested = sealed.Sequence
		}
	}
	return v, nil
}

// NewVerifierSealed is NewVerifierAfter for what a seal has left of an audit log. The seal's own
// signature is the caller's to check; that somebody has sealed the audit log off there is in the
// audit log too.
func NewVerifierSealed(seal Seal, witnesses ...Witness) (*Verifier, error) {
	v, err := NewVerifierAfter(seal.Checkpoint, witnesses...)
	if err == nil && seal.Checkpoint != (Checkpoint{}) {
		v.seal = &seal
	}
	return v, err
}

// Checkpoint is where the audit log ends, as far as it was added.
func (v *Verifier) Checkpoint() Checkpoint { return Checkpoint{v.last.Sequence, v.last.Hash} }

// Add takes the next entry, and returns a *Break if it does not follow. Then the audit log is
// broken, and nothing more may be added.
func (v *Verifier) Add(e Entry) error {
	if err := v.follows(e); err != nil {
		return err
	}
	v.last = e
	if v.seal != nil && v.seal.RecordedIn(e) {
		v.seal = nil
	}
	for len(v.witnesses) > 0 && v.witnesses[0].Checkpoint.Sequence <= e.Sequence {
		w := v.witnesses[0]
		v.witnesses = v.witnesses[1:]
		if w.Checkpoint.Hash != e.Hash {
			return broken(v.attested+1, Rewritten,
				"the audit log was rewritten, in one of the entries %d to %d: entry %d has the hash %s, and %s has seen it with %s",
				v.attested+1, e.Sequence, e.Sequence, e.Hash, w.Name, w.Checkpoint.Hash)
		}
		v.attested = e.Sequence
	}
	return nil
}

// End reports that there are no more entries. It returns a *Break if a witness has seen more than
// there is, or if what is missing was never sealed off.
func (v *Verifier) End() error {
	switch {
	case len(v.witnesses) == 0 && v.seal != nil:
		return broken(1, Dropped, "entries 1 to %d were dropped: the audit log begins after a seal, and no entry of it says that it was sealed off there", v.seal.Sequence)
	case len(v.witnesses) == 0:
		return nil
	}
	furthest := v.witnesses[len(v.witnesses)-1]
	return broken(v.last.Sequence+1, CutOff, "the audit log was cut off before entry %d: it ends with entry %d, and %s has seen entry %d",
		v.last.Sequence+1, v.last.Sequence, furthest.Name, furthest.Checkpoint.Sequence)
}

func (v *Verifier) follows(e Entry) error {
	next := v.last.Sequence + 1
	switch {
	case e.Sequence > next:
		return broken(next, Dropped, "entry %d was dropped or moved: entry %d is in its place", next, e.Sequence)
	case e.Sequence < next:
		return broken(next, Reordered, "entry %d was dropped or moved: entry %d is in its place, which comes before it", next, e.Sequence)
	}
	if e.Hash == e.Sum(e.PreviousHash) {
		return v.linked(e)
	}
	if was := renumbered(e); was != 0 {
		return broken(next, Reordered, "entry %d was dropped or moved: what is in its place was written as entry %d", next, was)
	}
	return broken(next, Edited, "entry %d was edited: its hash is not that of what it says", next)
}

// linked reports whether an entry whose own hash holds was written after the one
// before it.
func (v *Verifier) linked(e Entry) error {
	switch {
	case e.PreviousHash == v.last.Hash:
		return nil
	case v.last.Sequence == 0:
		return broken(e.Sequence, Dropped, "entry 1 is not the first that was written: it follows one with the hash %s", e.PreviousHash)
	default:
		return broken(v.last.Sequence, Edited,
			"entry %d was edited or replaced, and given a new hash: entry %d was written after one with the hash %s",
			v.last.Sequence, e.Sequence, e.PreviousHash)
	}
}

// renumberedWithin bounds how far from its place the number of a moved entry is
// looked for.
const renumberedWithin = 10_000

// renumbered returns the number that an entry had when its hash was made, or 0.
func renumbered(e Entry) int64 {
	for sequence := max(e.Sequence-renumberedWithin, 1); sequence <= e.Sequence+renumberedWithin; sequence++ {
		was := e
		was.Sequence = sequence
		if was.Sum(e.PreviousHash) == e.Hash {
			return sequence
		}
	}
	return 0
}
