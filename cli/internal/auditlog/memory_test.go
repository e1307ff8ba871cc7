package auditlog

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
)

// A checkpoint that was never checked outlives a hundred verifications after it.
func TestUncheckedCheckpointsAreNotForgotten(t *testing.T) {
	m := &Memory{path: filepath.Join(t.TempDir(), memoryFile)}
	at := func(n int) chain.Checkpoint {
		return chain.Checkpoint{Sequence: int64(n), Hash: strings.Repeat("a", 64)}
	}
	m.Verified(at(3), chain.Checkpoint{}, time.Now())
	m.Verified(at(6), chain.Checkpoint{}, time.Now())
	for n := range 2 * maxMemory {
		m.Verified(at(10+n), at(8), time.Now())
	}
	if err := m.Keep(); err != nil {
		t.Fatal(err)
	}
	m, err := OpenMemory(filepath.Dir(m.path))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Unchecked(); len(m.checkpoints) != maxMemory || !slices.Equal(got, []chain.Checkpoint{at(6)}) {
		t.Errorf("of %d checkpoints, unchecked are %v", len(m.checkpoints), got)
	}
	for n := range 2 * maxMemory { // each run is after another seal
		m.Verified(at(1001+2*n), at(1000+2*n), time.Now())
	}
	if got := m.Unchecked(); len(m.checkpoints) != maxMemory || got[0] != at(6) {
		t.Errorf("of %d checkpoints, the first unchecked is %v", len(m.checkpoints), got[0])
	}
	m.Verified(at(5000), chain.Checkpoint{}, time.Now())
	if got := m.Unchecked(); len(got) > 0 {
		t.Errorf("after the whole audit log was verified: %v", got)
	}
}
