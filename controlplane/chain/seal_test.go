package chain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
)

// A signature over a checkpoint, of which everybody holds some, is not one over a seal, whatever
// file it is given.
func TestSealHoldsForItsKeyAndContentAlone(t *testing.T) {
	key, other := newKey(t), newKey(t)
	at := checkpoint(auditLogOf(3)[2])
	seal, err := chain.SignSeal(at, strings.Repeat("a", 64), now, key, []byte("certificate"))
	if err != nil {
		t.Fatal(err)
	}
	if err := seal.SignedBy(key.Public()); err != nil {
		t.Error(err)
	}
	if err := seal.SignedBy(other.Public()); !errors.Is(err, chain.ErrSignature) {
		t.Errorf("another key: %v", err)
	}
	signed, err := chain.Sign(at, now, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*chain.Seal){
		"sequence":            func(s *chain.Seal) { s.Sequence++ },
		"hash":                func(s *chain.Seal) { s.Hash = auditLogOf(2)[1].Hash },
		"time":                func(s *chain.Seal) { s.At = s.At.Add(time.Microsecond) },
		"file":                func(s *chain.Seal) { s.FileSHA256 = strings.Repeat("b", 64) },
		"head's signature":    func(s *chain.Seal) { s.Signature = signed.Signature },
		"head's, and no file": func(s *chain.Seal) { s.Signature, s.FileSHA256 = signed.Signature, "" },
	} {
		changed := seal
		change(&changed)
		if err := changed.SignedBy(key.Public()); !errors.Is(err, chain.ErrSignature) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	passed := chain.SignedCheckpoint{Checkpoint: seal.Checkpoint, At: seal.At, Signature: seal.Signature}
	if err := passed.SignedBy(key.Public()); !errors.Is(err, chain.ErrSignature) {
		t.Errorf("a seal as a head: %v", err)
	}
}

// What is left of an audit log says itself that the rest was sealed off, where and to what file.
func TestAuditLogAfterASealSaysThatItWasSealedOff(t *testing.T) {
	before := auditLogOf(3)
	seal := chain.Seal{Checkpoint: checkpoint(before[2]), FileSHA256: strings.Repeat("a", 64)}
	note := chain.Entry{Action: chain.ActionSeal, Outcome: chain.OutcomeStarted, Target: seal.String(), Detail: seal.Note(1)}
	for name, change := range map[string]func(*chain.Entry){
		"":                   func(*chain.Entry) {},
		"another action":     func(e *chain.Entry) { e.Action = "audit.read" },
		"another checkpoint": func(e *chain.Entry) { e.Target = checkpoint(before[1]).String() },
		"another file":       func(e *chain.Entry) { e.Detail = strings.ReplaceAll(e.Detail, "a", "b") },
		"what was denied":    func(e *chain.Entry) { e.Outcome = chain.OutcomeDenied },
	} {
		verifier, err := chain.NewVerifierSealed(seal)
		if err != nil {
			t.Fatal(err)
		}
		last := before[2].Hash
		for sequence := int64(4); sequence < 7; sequence++ {
			e := chain.Entry{Sequence: sequence, At: now, Action: "other"}
			if sequence == 5 {
				e = note
				e.Sequence, e.At = sequence, now
				change(&e)
			}
			e.PreviousHash, e.Hash = last, e.Sum(last)
			if err := verifier.Add(e); err != nil {
				t.Fatal(err)
			}
			last = e.Hash
		}
		err, broken := verifier.End(), (*chain.Break)(nil)
		if errors.As(err, &broken) != (name != "") {
			t.Errorf("%q: %v", name, err)
		}
		if broken != nil && (broken.Kind != chain.Dropped || broken.Sequence != 1) {
			t.Errorf("%q: %+v", name, broken)
		}
	}
}
