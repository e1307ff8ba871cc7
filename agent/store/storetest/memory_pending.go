package storetest

import (
	"bytes"
	"errors"

	"github.com/pgharbor/pgharbor/agent/store"
)

var errDone = errors.New("the backup was already committed or discarded")

// pending implements store.Pending. It is in its store's list until it ends.
type pending struct {
	memory  *Memory
	at      store.Location
	dump    bytes.Buffer
	globals []byte
}

// Create implements backup.Backups.
func (m *Memory) Create(database, name, runID string) (store.Pending, error) {
	if err := store.CheckNew(database, name, runID); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &pending{memory: m, at: store.Location{Database: database, File: name}}
	m.pending[p] = true
	return p, nil
}

// Write implements io.Writer.
func (p *pending) Write(b []byte) (int, error) { return p.dump.Write(b) }

// AddGlobals implements store.Pending.
func (p *pending) AddGlobals(content []byte) { p.globals = notNil(content) }

// Commit implements store.Pending.
func (p *pending) Commit(manifest func(store.Location) ([]byte, error)) (_ store.Location, err error) {
	at, err := p.place()
	if err != nil {
		return store.Location{}, err
	}
	data, err := manifest(at)
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	if err != nil {
		delete(p.memory.stored, at)
		return store.Location{}, err
	}
	whole := *p.memory.stored[at]
	whole.globals, whole.manifest = p.globals, notNil(data)
	p.memory.stored[at] = &whole
	return at, nil
}

// place gives the dump the first name that is free. It is no backup yet.
func (p *pending) place() (at store.Location, err error) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	if !p.memory.pending[p] {
		return store.Location{}, errDone
	}
	delete(p.memory.pending, p)
	for at = p.at; p.memory.stored[at] != nil; {
		if at.File, err = store.NextSecond(at.File); err != nil {
			return store.Location{}, err
		}
	}
	p.memory.stored[at] = &kept{dump: notNil(p.dump.Bytes()), modified: p.memory.now().UTC()}
	return at, nil
}

// Abort implements store.Pending.
func (p *pending) Abort() error {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	delete(p.memory.pending, p)
	return nil
}
