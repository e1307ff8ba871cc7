package chain_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgharbor/pgharbor/controlplane/chain"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func TestSumCoversEveryField(t *testing.T) {
	entry := chain.Entry{
		Sequence: 2, At: now, Actor: "user:a", Action: "b", Instance: "c", Target: "d", Reason: "e", Outcome: "f", Detail: "g", Completes: 1,
	}
	hash := entry.Sum("before")
	for name, change := range edits {
		changed := entry
		change(&changed)
		if changed.Sum("before") == hash {
			t.Errorf("a change of the %s keeps the hash", name)
		}
	}
	moved := entry
	moved.Sequence++
	if moved.Sum("before") == hash {
		t.Error("another sequence keeps the hash")
	}
	border := entry
	border.Actor, border.Action = "user:", "ab"
	if border.Sum("before") == hash {
		t.Error("a letter that moves to the next field keeps the hash")
	}
	if entry.Sum("other") == hash {
		t.Error("another entry before it keeps the hash")
	}
}

// The algorithm is a format: audit logs of earlier releases must verify.
func TestSumIsWhatItWas(t *testing.T) {
	first := chain.Entry{
		Sequence: 1, At: now, Actor: "host", Action: "user.invite", Target: "user:ada", Outcome: "started", Detail: "the first OWNER",
	}
	// printf '0:,1:1,16:1772366400123456,4:host,11:user.invite,0:,8:user:ada,0:,7:started,15:the
	// first OWNER,1:0,' | sha256sum
	const want = "d4fd7abee18f7095207f65ced4784eadf339f348786060d7174c158916cce9f1"
	if got := first.Sum(""); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// edits change one field of an entry each.
var edits = map[string]func(*chain.Entry){
	"time":      func(e *chain.Entry) { e.At = e.At.Add(time.Microsecond) },
	"actor":     func(e *chain.Entry) { e.Actor += "x" },
	"action":    func(e *chain.Entry) { e.Action += "x" },
	"instance":  func(e *chain.Entry) { e.Instance += "x" },
	"target":    func(e *chain.Entry) { e.Target += "x" },
	"reason":    func(e *chain.Entry) { e.Reason += "x" },
	"outcome":   func(e *chain.Entry) { e.Outcome += "x" },
	"detail":    func(e *chain.Entry) { e.Detail += "x" },
	"completes": func(e *chain.Entry) { e.Completes++ },
}

// auditLogOf returns n entries that follow each other.
func auditLogOf(n int) []chain.Entry {
	all := make([]chain.Entry, n)
	for i := range all {
		all[i] = chain.Entry{Sequence: int64(i + 1), At: now.Add(time.Duration(i) * time.Second), Actor: "user:a", Action: "b", Detail: fmt.Sprint(i % 3)}
	}
	rehash(all, 0)
	return all
}

// rehash gives the entries from one on hashes that fit.
func rehash(all []chain.Entry, from int) {
	for i := from; i < len(all); i++ {
		all[i].PreviousHash = ""
		if i > 0 {
			all[i].PreviousHash = all[i-1].Hash
		}
		all[i].Hash = all[i].Sum(all[i].PreviousHash)
	}
}

func checkpoint(e chain.Entry) chain.Checkpoint {
	return chain.Checkpoint{Sequence: e.Sequence, Hash: e.Hash}
}

// verify returns the break of an audit log, or nil.
func verify(all []chain.Entry, checkpoints ...chain.Checkpoint) *chain.Break {
	var witnesses []chain.Witness
	for _, checkpoint := range checkpoints {
		witnesses = append(witnesses, chain.Witness{Checkpoint: checkpoint, Name: "w"})
	}
	v := chain.NewVerifier(witnesses...)
	var found *chain.Break
	for _, e := range all {
		if errors.As(v.Add(e), &found) {
			return found
		}
	}
	errors.As(v.End(), &found)
	return found
}

func TestAuditLogThatHolds(t *testing.T) {
	all := auditLogOf(9)
	if b := verify(all, checkpoint(all[0]), checkpoint(all[8]), checkpoint(all[4])); b != nil {
		t.Errorf("got %v", b)
	}
	if b := verify(nil); b != nil {
		t.Errorf("an empty audit log: %v", b)
	}
}

// Whatever is done to an audit log, the first entry that is touched is named.
func TestTamperedAuditLogIsNamedByItsFirstWrongEntry(t *testing.T) {
	names := slices.Sorted(maps.Keys(edits))
	rapid.Check(t, func(t *rapid.T) {
		all := auditLogOf(rapid.IntRange(2, 30).Draw(t, "entries"))
		whole := slices.Clone(all)
		at := rapid.IntRange(0, len(all)-1).Draw(t, "at")
		field := edits[rapid.SampledFrom(names).Draw(t, "field")]
		want, kinds := int64(at+1), chain.Edited
		var checkpoints []chain.Checkpoint
		switch how := rapid.SampledFrom([]string{"edit", "hash", "previous", "drop", "swap", "renumber", "cut", "rewrite", "own hash"}).Draw(t, "how"); how {
		case "edit":
			field(&all[at])
		case "hash":
			all[at].Hash = strings.Repeat("0", 64)
		case "previous":
			all[at].PreviousHash = strings.Repeat("0", 64)
		case "own hash": // and nothing after it
			field(&all[at])
			all[at].Hash = all[at].Sum(all[at].PreviousHash)
			checkpoints, kinds = []chain.Checkpoint{checkpoint(whole[len(whole)-1])}, chain.Edited+chain.Rewritten
			if at == len(all)-1 {
				want = 1
			}
		case "drop":
			all = slices.Delete(all, at, at+1)
			checkpoints, kinds = []chain.Checkpoint{checkpoint(whole[len(whole)-1])}, chain.Dropped+chain.CutOff
		case "renumber": // drop, and close the gap in the numbers
			if at == len(all)-1 {
				at, want = at-1, want-1
			}
			all = slices.Delete(all, at, at+1)
			for i := at; i < len(all); i++ {
				all[i].Sequence--
			}
			kinds = chain.Reordered
		case "swap":
			other := rapid.IntRange(0, len(all)-1).Filter(func(n int) bool { return n != at }).Draw(t, "other")
			all[at], all[other] = all[other], all[at]
			want, kinds = int64(min(at, other)+1), chain.Dropped+chain.Reordered
			if rapid.Bool().Draw(t, "numbers stay") {
				all[at].Sequence, all[other].Sequence = all[other].Sequence, all[at].Sequence
			}
		case "cut":
			all = all[:at]
			checkpoints, kinds = []chain.Checkpoint{checkpoint(whole[len(whole)-1])}, chain.CutOff
		case "rewrite":
			field(&all[at])
			rehash(all, at)
			checkpoints, kinds = []chain.Checkpoint{checkpoint(whole[len(whole)-1])}, chain.Rewritten
			want = 1
			if at > 0 { // a checkpoint from before the edit narrows it down
				checkpoints, want = append(checkpoints, checkpoint(whole[at-1])), int64(at+1)
			}
		}
		b := verify(all, checkpoints...)
		if b == nil || b.Sequence != want || !strings.Contains(kinds, b.Kind) {
			t.Fatalf("got %+v, want entry %d %s", b, want, kinds)
		}
	})
}

func TestCheckpointIsReadAsItIsWritten(t *testing.T) {
	want := checkpoint(auditLogOf(3)[2])
	if got, err := chain.ParseCheckpoint(want.String()); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add("3:" + strings.Repeat("a", 64))
	f.Add("3:short")
	f.Fuzz(func(t *testing.T, text string) {
		checkpoint, err := chain.ParseCheckpoint(text)
		if err != nil {
			return
		}
		if again, err := chain.ParseCheckpoint(checkpoint.String()); err != nil || again != checkpoint || !checkpoint.Valid() {
			t.Errorf("%q became %v, then %v, %v", text, checkpoint, again, err)
		}
	})
}

func TestSignedCheckpointHoldsForItsKeyAndContentAlone(t *testing.T) {
	key, other := newKey(t), newKey(t)
	signed, err := chain.Sign(checkpoint(auditLogOf(3)[2]), now, key, []byte("certificate"))
	if err != nil {
		t.Fatal(err)
	}
	if err := signed.SignedBy(key.Public()); err != nil {
		t.Error(err)
	}
	if err := signed.SignedBy(other.Public()); !errors.Is(err, chain.ErrSignature) {
		t.Errorf("another key: %v", err)
	}
	for name, change := range map[string]func(*chain.SignedCheckpoint){
		"sequence": func(h *chain.SignedCheckpoint) { h.Sequence++ },
		"hash":     func(h *chain.SignedCheckpoint) { h.Hash = auditLogOf(2)[1].Hash },
		"time":     func(h *chain.SignedCheckpoint) { h.At = h.At.Add(time.Microsecond) },
	} {
		changed := signed
		change(&changed)
		if err := changed.SignedBy(key.Public()); !errors.Is(err, chain.ErrSignature) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
