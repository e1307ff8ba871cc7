package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/pgharbor/pgharbor/controlplane/chain"
)

const (
	trailMemoryFile = "trail-heads.json"
	// maxTrailMemory bounds the heads that are kept: the older ones say where, of a
	// trail that was rewritten, that began.
	maxTrailMemory = 100
)

// trailMemory is what somebody has verified of a control plane's trail. It stands
// beside the identity, out of the control plane's reach.
type trailMemory struct {
	path  string
	heads []rememberedHead
}

type rememberedHead struct {
	chain.Head
	VerifiedAt time.Time `json:"verified_at"`
}

// openTrailMemory reads what is in a context's folder. A file that can't be read
// is an error: whoever damages it must not make it forgotten.
func openTrailMemory(dir string) (*trailMemory, error) {
	m := &trailMemory{path: filepath.Join(dir, trailMemoryFile)}
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

func (m *trailMemory) witnesses() []chain.Witness {
	var all []chain.Witness
	for _, h := range m.heads {
		all = append(all, chain.Witness{Head: h.Head, Name: "your own verification of " + h.VerifiedAt.UTC().Format(time.RFC3339)})
	}
	return all
}

// keep adds a head, or with afresh makes it the only one.
func (m *trailMemory) keep(head chain.Head, now time.Time, afresh bool) error {
	if afresh {
		m.heads = nil
	}
	if n := len(m.heads); !head.Valid() || n > 0 && m.heads[n-1].Head == head {
		return nil
	}
	m.heads = append(m.heads, rememberedHead{head, now.UTC().Truncate(time.Second)})
	if extra := len(m.heads) - maxTrailMemory; extra > 0 {
		m.heads = m.heads[extra:]
	}
	content, err := json.MarshalIndent(m.heads, "", "  ")
	if err != nil {
		return fmt.Errorf("keep what was verified: %w", err)
	}
	if err := renameio.WriteFile(m.path, append(content, '\n'), 0o600, renameio.WithTempDir(filepath.Dir(m.path))); err != nil {
		return fmt.Errorf("keep what was verified: %w", err)
	}
	return nil
}
