package trail

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
)

// A head that was never checked outlives a hundred verifications after it.
func TestUncheckedHeadsAreNotForgotten(t *testing.T) {
	m := &Memory{path: filepath.Join(t.TempDir(), memoryFile)}
	at := func(n int) chain.Head { return chain.Head{Sequence: int64(n), Hash: strings.Repeat("a", 64)} }
	m.Verified(at(3), chain.Head{}, time.Now())
	m.Verified(at(6), chain.Head{}, time.Now())
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
	if got := m.Unchecked(); len(m.heads) != maxMemory || !slices.Equal(got, []chain.Head{at(6)}) {
		t.Errorf("of %d heads, unchecked are %v", len(m.heads), got)
	}
	for n := range 2 * maxMemory { // each run is after another seal
		m.Verified(at(1001+2*n), at(1000+2*n), time.Now())
	}
	if got := m.Unchecked(); len(m.heads) != maxMemory || got[0] != at(6) {
		t.Errorf("of %d heads, the first unchecked is %v", len(m.heads), got[0])
	}
	m.Verified(at(5000), chain.Head{}, time.Now())
	if got := m.Unchecked(); len(got) > 0 {
		t.Errorf("after the whole trail was verified: %v", got)
	}
}
