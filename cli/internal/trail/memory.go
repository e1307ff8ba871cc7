package trail

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"github.com/pgharbor/pgharbor/controlplane/chain"
)

const (
	memoryFile = "trail-heads.json"
	// maxMemory bounds the heads that are kept: the older ones say where, of a trail that was rewritten, that began.
	maxMemory = 100
)

// Memory is what a person has verified of a control plane's trail. It is stored next to the identity, where the control
// plane can't change it.
type Memory struct {
	path  string
	heads []rememberedHead
}

type rememberedHead struct {
	chain.Head
	VerifiedAt time.Time `json:"verified_at"`
	// Apart says that the one before it was sealed off by then, so that nothing has shown that this one's trail was
	// that one's.
	Apart bool `json:"apart,omitempty"`
}

// OpenMemory reads the memory in a context's folder. A file that can't be read is an error: damaging it must not make
// it forgotten.
func OpenMemory(dir string) (*Memory, error) {
	m := &Memory{path: filepath.Join(dir, memoryFile)}
	content, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &m.heads)
	}
	if err != nil {
		return nil, fmt.Errorf("what you verified before can't be read: %w", err)
	}
	return m, nil
}

// Witnesses returns all remembered heads, the oldest first.
func (m *Memory) Witnesses() []chain.Witness {
	var all []chain.Witness
	for _, h := range m.heads {
		all = append(all, chain.Witness{Head: h.Head, Name: "your own verification of " + h.VerifiedAt.UTC().Format(time.RFC3339)})
	}
	return all
}

// Verified adds the head of a trail that was verified from the head after on. What is remembered from there on belongs
// to the same trail.
func (m *Memory) Verified(head, after chain.Head, now time.Time) {
	for i := 1; i < len(m.heads); i++ {
		if !before(m.heads[i-1].Head, after) {
			m.heads[i].Apart = false
		}
	}
	n := len(m.heads)
	if !head.Valid() || n > 0 && m.heads[n-1].Head == head {
		return
	}
	apart := n > 0 && before(m.heads[n-1].Head, after)
	m.heads = append(m.heads, rememberedHead{head, now.UTC().Truncate(time.Second), apart})
	for len(m.heads) > maxMemory {
		m.forgetOne()
	}
}

// Unchecked returns the newest heads of parts that were sealed off before anybody verified them again.
func (m *Memory) Unchecked() (heads []chain.Head) {
	for i, h := range m.heads {
		if h.Apart && i > 0 {
			heads = append(heads, m.heads[i-1].Head)
		}
	}
	return heads
}

// forgetOne removes the oldest head that is not unchecked. If all are unchecked, the first stays, because it is from
// before all that was changed since.
func (m *Memory) forgetOne() {
	i := slices.IndexFunc(m.heads[1:], func(next rememberedHead) bool { return !next.Apart })
	if i < 0 {
		i = 1
	}
	if m.heads[i].Apart {
		m.heads[i+1].Apart = true
	}
	m.heads = slices.Delete(m.heads, i, i+1)
}

// Keep writes the memory to its file.
func (m *Memory) Keep() error {
	content, err := json.MarshalIndent(m.heads, "", "  ")
	if err != nil {
		return fmt.Errorf("keep what was verified: %w", err)
	}
	if err := renameio.WriteFile(m.path, append(content, '\n'), 0o600, renameio.WithTempDir(filepath.Dir(m.path))); err != nil {
		return fmt.Errorf("keep what was verified: %w", err)
	}
	return nil
}

// Forget drops all that was verified.
func (m *Memory) Forget() { m.heads = nil }
