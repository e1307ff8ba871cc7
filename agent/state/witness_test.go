package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/controlplane/chain"
)

var witnessed = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// checkpointOf is a checkpoint of one of two audit logs.
func checkpointOf(sequence int64, auditLog string) chain.SignedCheckpoint {
	return chain.SignedCheckpoint{
		Checkpoint: chain.Checkpoint{Sequence: sequence, Hash: strings.Repeat(auditLog, 64)}, At: witnessed, Signature: []byte("s"), Certificate: []byte("c"),
	}
}

func witness(t *testing.T) (*state.Witness, string) {
	t.Helper()
	dir := t.TempDir()
	folder, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return folder.Witness, filepath.Join(dir, "trail-heads.jsonl")
}

func take(t *testing.T, w *state.Witness, checkpoints ...chain.SignedCheckpoint) {
	t.Helper()
	for _, checkpoint := range checkpoints {
		if err := w.Take(checkpoint, witnessed); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWitnessKeepsTheOlderCheckpointOfAnAuditLogThatWasRewritten(t *testing.T) {
	for name, other := range map[string]chain.SignedCheckpoint{
		"another hash":          checkpointOf(7, "b"),
		"an earlier checkpoint": checkpointOf(6, "a"),
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := witness(t)
			take(t, w, checkpointOf(5, "a"), checkpointOf(7, "a"), checkpointOf(7, "a"))
			if err := w.Take(other, witnessed); !errors.Is(err, state.ErrOtherAuditLog) {
				t.Fatalf("got %v", err)
			}
			// The other audit log grows past what was seen, and is refused still.
			if err := w.Take(checkpointOf(9, "b"), witnessed); !errors.Is(err, state.ErrOtherAuditLog) {
				t.Errorf("as it grows: %v", err)
			}
			if newest, _, err := w.Newest(); !errors.Is(err, state.ErrOtherAuditLog) || newest.Checkpoint != checkpointOf(7, "a").Checkpoint {
				t.Errorf("the newest is %v, %v", newest, err)
			}
			if err := w.Accept(witnessed); err != nil {
				t.Fatal(err)
			}
			if newest, again, err := w.Newest(); newest != nil || !again || err != nil {
				t.Errorf("once accepted, the newest is %v, %v", newest, err)
			}
			take(t, w, checkpointOf(3, "b"))
			if newest, _, err := w.Newest(); err != nil || newest.Checkpoint != checkpointOf(3, "b").Checkpoint {
				t.Errorf("then it is %v, %v", newest, err)
			}
			if all, err := w.Seen(); err != nil || len(all) != 5 || !all[2].Refused {
				t.Errorf("on record are %+v, %v", all, err)
			}
		})
	}
}

func TestWitnessOutlivesACutLine(t *testing.T) {
	w, path := witness(t)
	take(t, w, checkpointOf(5, "a"), checkpointOf(6, "a"))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content[:len(content)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	if newest, _, err := w.Newest(); err != nil || newest.Sequence != 5 {
		t.Fatalf("the newest is %v, %v", newest, err)
	}
	take(t, w, checkpointOf(8, "a"))
	if all, err := w.Seen(); err != nil || len(all) != 2 || all[1].Sequence != 8 {
		t.Errorf("on record are %+v, %v", all, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
}

// The file is bounded, and what stays reaches far back.
func TestWitnessKeepsTheNewestCheckpointsAndOneOfEachDay(t *testing.T) {
	w, _ := witness(t)
	const days, perDay = 10, 40
	for n := range days * perDay {
		at := witnessed.AddDate(0, 0, n/perDay).Add(time.Duration(n%perDay) * time.Minute)
		if err := w.Take(checkpointOf(int64(n+1), "a"), at); err != nil {
			t.Fatal(err)
		}
	}
	all, err := w.Seen()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) > 150 || all[len(all)-1].Sequence != days*perDay {
		t.Errorf("there are %d, the last is %d", len(all), all[len(all)-1].Sequence)
	}
	kept := map[int64]bool{}
	for _, seen := range all {
		kept[seen.Sequence] = true
	}
	for day := range int64(days) {
		if !kept[(day+1)*perDay] {
			t.Errorf("the last checkpoint of day %d is gone", day)
		}
	}
}

func FuzzWitnessFile(f *testing.F) {
	f.Add([]byte(`{"sequence":1,"hash":"aa","at":"2026-03-01T12:00:00Z","signature":"","certificate":"","seen_at":"2026-03-01T12:00:00Z"}` + "\n"))
	f.Add([]byte("{\"refused\":true}\n{\"acc"))
	f.Fuzz(func(t *testing.T, content []byte) {
		w, path := witness(t)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := w.Seen()
		if err != nil {
			return
		}
		if err := w.Accept(witnessed); err != nil {
			t.Fatal(err)
		}
		take(t, w, checkpointOf(1, "a"))
		if after, err := w.Seen(); err != nil || len(after) < min(len(before), 64) {
			t.Errorf("%d became %d, %v", len(before), len(after), err)
		}
	})
}
