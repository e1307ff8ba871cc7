package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/pgharbor/pgharbor/internal/disk"
)

// Journal is a folder of entries, a file each: `<sequence>-<id>.json`. An entry is on disk when
// Append returns and stays until Ack. Several processes may append to one journal: a backup by hand
// next to the daemon that reports it.
type Journal struct {
	dir     string
	changed chan struct{} // holds one token after this process has appended something

	mu    sync.Mutex
	names map[string]string // id -> file, of the entries that Pending has listed
}

const sequenceWidth = 16

func openJournal(dir string) (*Journal, error) {
	if err := makePrivate(dir); err != nil {
		return nil, err
	}
	j := &Journal{dir: dir, changed: make(chan struct{}, 1), names: map[string]string{}}
	return j, j.locked(func() error { return removeTemporary(dir) })
}

// Changed holds one token after an entry was appended by this process; those of others are found by
// looking again now and then.
func (j *Journal) Changed() <-chan struct{} { return j.changed }

// Append adds an entry after all others. An entry whose id is pending already is
// not added again. After an error the entry may or may not be in the journal.
func (j *Journal) Append(entry Entry) error {
	return j.locked(func() error { return j.append(entry) })
}

// append is Append for who holds the journal's lock.
func (j *Journal) append(entries ...Entry) error {
	names, err := j.list()
	if err != nil {
		return err
	}
	pending, last := map[string]bool{}, uint64(0)
	for _, name := range names {
		sequence, id, _ := splitEntryName(name)
		pending[id], last = true, sequence
	}
	for _, entry := range entries {
		if !entryID.MatchString(entry.ID) {
			return fmt.Errorf("journal: %q is no id of an entry", entry.ID)
		}
		if pending[entry.ID] {
			continue
		}
		content, err := json.Marshal(entry)
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		last++
		f, err := writeLocked(j.dir, fmt.Sprintf("%0*d-%s%s", sequenceWidth, last, entry.ID, entrySuffix), content)
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	select {
	case j.changed <- struct{}{}:
	default:
	}
	return nil
}

// Pending lists the ids of all entries that are not acknowledged, oldest first.
func (j *Journal) Pending() ([]string, error) {
	names, err := j.list()
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.names)
	ids := make([]string, len(names))
	for i, name := range names {
		_, ids[i], _ = splitEntryName(name)
		j.names[ids[i]] = name
	}
	return ids, nil
}

// Results reports whether a job's result is pending, and how many results of jobs are. What can't
// be read counts as absent.
func (j *Journal) Results(jobID string) (pending bool, all int) {
	names, err := j.list()
	if err != nil {
		return false, 0
	}
	for _, name := range names {
		_, entry, _ := splitEntryName(name)
		pending = pending || entry == resultID(jobID)
		if strings.HasPrefix(entry, resultPrefix) {
			all++
		}
	}
	return pending, all
}

// Read returns an entry that Pending listed; fs.ErrNotExist if it has been acknowledged since.
func (j *Journal) Read(id string) (Entry, error) {
	name, err := j.name(id)
	if err != nil {
		return Entry{}, err
	}
	content, err := os.ReadFile(filepath.Join(j.dir, name))
	if err != nil {
		return Entry{}, fmt.Errorf("journal: %w", err)
	}
	var entry Entry
	if err := json.Unmarshal(content, &entry); err != nil {
		return Entry{}, fmt.Errorf("journal entry %s: %w", name, err)
	}
	if entry.ID != id {
		return Entry{}, fmt.Errorf("journal entry %s holds another entry's news", name)
	}
	return entry, nil
}

// Ack removes an entry: the control plane has it. One that is gone already is no
// error. The removal need not be durable, since news may come twice.
func (j *Journal) Ack(id string) error {
	name, err := j.name(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return j.locked(func() error {
		if err := os.Remove(filepath.Join(j.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("journal: %w", err)
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.names, id)
		return nil
	})
}

func (j *Journal) name(id string) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if name, ok := j.names[id]; ok {
		return name, nil
	}
	return "", fmt.Errorf("journal: no entry %q: %w", id, fs.ErrNotExist)
}

// list returns the names of the entries, oldest first.
func (j *Journal) list() ([]string, error) {
	files, err := os.ReadDir(j.dir) // sorted
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	names := make([]string, 0, len(files))
	for _, file := range files {
		if _, _, ok := splitEntryName(file.Name()); ok {
			names = append(names, file.Name())
		}
	}
	return names, nil
}

func splitEntryName(name string) (sequence uint64, id string, ok bool) {
	name, isEntry := strings.CutSuffix(name, entrySuffix)
	number, id, isNumbered := strings.Cut(name, "-")
	if !isEntry || !isNumbered || len(number) != sequenceWidth || !entryID.MatchString(id) {
		return 0, "", false
	}
	sequence, err := strconv.ParseUint(number, 10, 64)
	return sequence, id, err == nil
}

// locked runs f while no other process, and no other goroutine of this one,
// changes the journal.
func (j *Journal) locked(f func() error) error {
	lock, err := openLocked(filepath.Join(j.dir, lockName), disk.Lock)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return errors.Join(f(), lock.Close())
}
