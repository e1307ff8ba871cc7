package auditlog

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
	// maxMemory bounds the checkpoints that are kept: the older ones say where, of an audit log
	// that was rewritten, that began.
	maxMemory = 100
)

// Memory is what a person has verified of a control plane's audit log. It is stored next to the
// identity, where the control plane can't change it.
type Memory struct {
	path        string
	checkpoints []rememberedCheckpoint
}

type rememberedCheckpoint struct {
	chain.Checkpoint
	VerifiedAt time.Time `json:"verified_at"`
	// Apart means that the one before it was sealed off by then, so that nothing has shown that
	// this one's audit log was that one's.
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
		err = json.Unmarshal(content, &m.checkpoints)
	}
	if err != nil {
		return nil, fmt.Errorf("what you verified before can't be read: %w", err)
	}
	return m, nil
}

// Witnesses returns all remembered checkpoints, the oldest first.
func (m *Memory) Witnesses() []chain.Witness {
	var all []chain.Witness
	for _, h := range m.checkpoints {
		all = append(all, chain.Witness{Checkpoint: h.Checkpoint, Name: "your own verification of " + h.VerifiedAt.UTC().Format(time.RFC3339)})
	}
	return all
}

// Verified adds the checkpoint of an audit log that was verified from the checkpoint after on. What
// is remembered from there on belongs to the same audit log.
func (m *Memory) Verified(checkpoint, after chain.Checkpoint, now time.Time) {
	for i := 1; i < len(m.checkpoints); i++ {
		if !before(m.checkpoints[i-1].Checkpoint, after) {
			m.checkpoints[i].Apart = false
		}
	}
	n := len(m.checkpoints)
	if !checkpoint.Valid() || n > 0 && m.checkpoints[n-1].Checkpoint == checkpoint {
		return
	}
	apart := n > 0 && before(m.checkpoints[n-1].Checkpoint, after)
	m.checkpoints = append(m.checkpoints, rememberedCheckpoint{checkpoint, now.UTC().Truncate(time.Second), apart})
	for len(m.checkpoints) > maxMemory {
		m.forgetOne()
	}
}

// Unchecked returns the newest checkpoints of parts that were sealed off before anybody verified
// them again.
func (m *Memory) Unchecked() (checkpoints []chain.Checkpoint) {
	for i, h := range m.checkpoints {
		if h.Apart && i > 0 {
			checkpoints = append(checkpoints, m.checkpoints[i-1].Checkpoint)
		}
	}
	return checkpoints
}

// forgetOne removes the oldest checkpoint that is not unchecked. If all are unchecked, the first
// stays, because it is from before all that was changed since.
func (m *Memory) forgetOne() {
	i := slices.IndexFunc(m.checkpoints[1:], func(next rememberedCheckpoint) bool { return !next.Apart })
	if i < 0 {
		i = 1
	}
	if m.checkpoints[i].Apart {
		m.checkpoints[i+1].Apart = true
	}
	m.checkpoints = slices.Delete(m.checkpoints, i, i+1)
}

// Keep writes the memory to its file.
func (m *Memory) Keep() error {
	content, err := json.MarshalIndent(m.checkpoints, "", "  ")
	if err != nil {
		return fmt.Errorf("keep what was verified: %w", err)
	}
	if err := renameio.WriteFile(m.path, append(content, '\n'), 0o600, renameio.WithTempDir(filepath.Dir(m.path))); err != nil {
		return fmt.Errorf("keep what was verified: %w", err)
	}
	return nil
}

// Forget drops all that was verified.
func (m *Memory) Forget() { m.checkpoints = nil }
