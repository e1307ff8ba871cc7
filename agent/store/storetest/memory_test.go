package storetest

import (
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/store"
)

type memoryPlace struct{ *Memory }

func (p memoryPlace) Open(*testing.T) backup.Store { return p.Memory }

func (p memoryPlace) Drop(_ *testing.T, name string, content []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stored[store.Location{File: name}] = &kept{dump: notNil(content), modified: p.now().UTC()}
	return true
}

// The tests assume no folder: a store in memory passes them too.
func TestMemoryIsAStore(t *testing.T) {
	Run(t, func(*testing.T) Place { return memoryPlace{NewMemory(time.Now)} })
}
