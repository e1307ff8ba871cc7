package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/agent/store"
)

// Memory is a backup.Store in this process's memory, for tests of what must not depend on a folder.
type Memory struct {
	now func() time.Time

	mu       sync.Mutex
	stored   map[store.Location]*kept
	pending  map[*pending]bool
	locked   map[string]bool
	incoming map[string]map[store.Part][]byte // by restore
}

// kept is what is stored under a name. Its contents are never changed, but replaced.
type kept struct {
	dump, globals, hold []byte // nil where there is none
	manifest            []byte // nil: it is no backup
	modified            time.Time
}

// NewMemory returns an empty store whose files get their times from now.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{
		now: now, stored: map[store.Location]*kept{}, pending: map[*pending]bool{}, locked: map[string]bool{},
		incoming: map[string]map[store.Part][]byte{},
	}
}

// Manifests implements backup.Backups.
func (m *Memory) Manifests() iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		for _, entry := range m.entries(func(k *kept, _ store.Location) bool { return k.manifest != nil }) {
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// entries lists what is stored and wanted.
func (m *Memory) entries(wanted func(*kept, store.Location) bool) (all []store.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at, k := range m.stored {
		if wanted(k, at) {
			entry := store.Entry{
				Location: at, Manifest: bytes.Clone(k.manifest), Hold: bytes.Clone(k.hold), Size: int64(len(k.dump)), ModTime: k.modified, GlobalsSize: -1,
			}
			if k.globals != nil {
				entry.GlobalsSize = int64(len(k.globals))
			}
			all = append(all, entry)
		}
	}
	return all
}

// Open implements backup.Backups.
func (m *Memory) Open(at store.Location, part store.Part) (store.Object, error) {
	if err := at.Check(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.stored[at]
	if !ok {
		return nil, missing("open", at.File)
	}
	return opened(part.Of(at.File), map[store.Part][]byte{store.Dump: k.dump, store.Globals: k.globals, store.Manifest: k.manifest}[part])
}

// object implements store.Object.
type object struct{ *bytes.Reader }

// Close implements io.Closer.
func (object) Close() error { return nil }

func opened(name string, content []byte) (store.Object, error) {
	if content == nil {
		return nil, missing("open", name)
	}
	return object{bytes.NewReader(content)}, nil
}

func missing(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// notNil is a copy that is there, even where it is empty.
func notNil(content []byte) []byte { return append([]byte{}, content...) }

// Remove implements backup.Backups.
func (m *Memory) Remove(at store.Location) error {
	if err := at.Check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.stored[at]; ok && k.hold != nil {
		return fmt.Errorf("%s: %w", at.File, store.ErrHeld)
	}
	delete(m.stored, at)
	return nil
}

// Usable implements backup.Backups.
func (m *Memory) Usable() error { return nil }

// Space implements backup.Backups.
func (m *Memory) Space() (store.Space, error) {
	return store.Space{Of: "memory", Free: math.MaxInt64}, nil
}

// Describe implements backup.Backups.
func (m *Memory) Describe(at store.Location) string {
	return fmt.Sprintf("memory:%q/%s", at.Database, at.File)
}

// Lock implements backup.Locks.
func (m *Memory) Lock(database string) (unlock func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked[database] {
		return nil, fmt.Errorf("database %q: %w", database, store.ErrLocked)
	}
	m.locked[database] = true
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.locked, database)
	}), nil
}

// Sweep implements backup.Locks.
func (m *Memory) Sweep() (removed []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range slices.Collect(maps.Keys(m.pending)) {
		if !m.locked[p.at.Database] {
			delete(m.pending, p)
			removed = append(removed, p.at.File)
		}
	}
	return removed, nil
}

// change changes what is stored under a name, by a copy.
func (m *Memory) change(op string, at store.Location, change func(*kept) error) error {
	if err := at.Check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.stored[at]
	if !ok {
		return missing(op, at.File)
	}
	changed := *k
	if err := change(&changed); err != nil {
		return err
	}
	m.stored[at] = &changed
	return nil
}

// Hold implements backup.Holds.
func (m *Memory) Hold(at store.Location, content []byte) error {
	return m.change("hold", at, func(k *kept) error {
		if k.manifest == nil {
			return missing("hold", at.File)
		}
		k.hold = notNil(content)
		return nil
	})
}

// Release implements backup.Holds.
func (m *Memory) Release(at store.Location) error {
	err := m.change("release", at, func(k *kept) error { k.hold = nil; return nil })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Unmanaged implements backup.Unmanaged.
func (m *Memory) Unmanaged() ([]store.Entry, error) {
	return m.entries(func(k *kept, at store.Location) bool {
		return k.manifest == nil && at.Database == "" && store.IsLoose(at.File)
	}), nil
}

// Import implements backup.Unmanaged.
func (m *Memory) Import(at store.Location, manifest []byte) error {
	return m.change("adopt", at, func(k *kept) error {
		if k.manifest != nil {
			return &fs.PathError{Op: "adopt", Path: at.File, Err: fs.ErrExist}
		}
		k.manifest = notNil(manifest)
		return nil
	})
}

// Private implements backup.Unmanaged: nobody else gets at this process's memory.
func (m *Memory) Private(store.Location) bool { return true }

// CreateIncoming implements backup.Incoming.
func (m *Memory) CreateIncoming(id string, part store.Part) (io.WriteCloser, error) {
	if err := store.CheckID(id); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.incoming[id] == nil {
		m.incoming[id] = map[store.Part][]byte{}
	}
	if _, there := m.incoming[id][part]; there {
		return nil, &fs.PathError{Op: "create", Path: id, Err: fs.ErrExist}
	}
	m.incoming[id][part] = []byte{}
	return incomingPart{m, id, part}, nil
}

// incomingPart writes a part that was fetched.
type incomingPart struct {
	memory *Memory
	id     string
	part   store.Part
}

// Write implements io.Writer.
func (i incomingPart) Write(p []byte) (int, error) {
	i.memory.mu.Lock()
	defer i.memory.mu.Unlock()
	parts, ok := i.memory.incoming[i.id]
	if ok {
		parts[i.part] = slices.Concat(parts[i.part], p)
	}
	return len(p), nil // of what was removed meanwhile, as a disk has it
}

// Close implements io.Closer.
func (incomingPart) Close() error { return nil }

// OpenIncoming implements backup.Incoming.
func (m *Memory) OpenIncoming(id string, part store.Part) (store.Object, error) {
	if err := store.CheckID(id); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return opened(id, m.incoming[id][part])
}

// RemoveIncoming implements backup.Incoming.
func (m *Memory) RemoveIncoming(id string) error {
	if err := store.CheckID(id); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.incoming, id)
	return nil
}
