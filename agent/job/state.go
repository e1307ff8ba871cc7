package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pgharbor/pgharbor/internal/disk"
)

// State is the folder in which the agent remembers what must outlive it: the
// journal, a record of each piece of work that is under way, and what checks of
// backups have found.
type State struct {
	Journal *Journal
	Checks  *Checks
	Witness *Witness
	History *History

	dir     string
	records string
}

// ErrRunning says that another agent runs on the same state folder.
var ErrRunning = errors.New("another pgharbor-agent runs on this state folder")

// OpenState opens the state folder, making it (0700) where it does not exist. One
// that others may write to is refused: they could put their own in its place.
func OpenState(dir string) (*State, error) {
	s := &State{Witness: &Witness{dir}, dir: dir, records: filepath.Join(dir, "runs")}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := ownFolders(dir, s.records); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	journal, err := openJournal(filepath.Join(dir, "journal"))
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	s.Journal = journal
	if s.Checks, err = openChecks(filepath.Join(dir, "checks")); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if s.History, err = openHistory(filepath.Join(dir, "history")); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	return s, nil
}

// Dir returns the folder as it was given to OpenState.
func (s *State) Dir() string { return s.dir }

// Lock makes this process the one agent that runs on the folder, until release
// or the end of the process. ErrRunning says that there is one.
func (s *State) Lock() (release func() error, err error) {
	f, err := openLocked(filepath.Join(s.dir, "lock"), disk.TryLock)
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("%w: %s", ErrRunning, s.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	return f.Close, nil
}

// Record is work under way, written before it begins, so that the next start
// knows what a crash broke off.
type Record struct {
	ID      string   `json:"id"`
	Run     *Run     `json:"run,omitempty"`
	Removal *Removal `json:"removal,omitempty"`
	Restore *Restore `json:"restore,omitempty"`
	// Throwaway is the folder of a throwaway server, a path.
	Throwaway string `json:"throwaway,omitempty"`
	JobID     string `json:"job_id,omitempty"` // the record is of this job of the control plane
}

// Restore is a restore under way. ID also names its temporary database.
type Restore struct {
	ID      string `json:"id"`
	Target  string `json:"target"`
	Replace bool   `json:"replace,omitempty"`
}

// Work is a record that this process answers for: it holds the lock of its file.
type Work struct {
	Record

	state *State
	file  *os.File
}

// Begin writes a record durably. Finish ends it.
func (s *State) Begin(record Record) (*Work, error) {
	if !entryID.MatchString(record.ID) {
		return nil, fmt.Errorf("%q is no id of a record", record.ID)
	}
	content, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("record of work: %w", err)
	}
	f, err := writeLocked(s.records, record.ID+entrySuffix, content)
	if err != nil {
		return nil, fmt.Errorf("record of work: %w", err)
	}
	return &Work{Record: record, state: s, file: f}, nil
}

// Finish journals how the work ended and removes its record. As an
// acknowledgement can't come in between, after a crash either the record is
// gone, or the entries are pending still and are not journaled a second time.
// After an error the record stays, for the next start.
func (w *Work) Finish(entries ...Entry) error {
	journal := w.state.Journal
	err := journal.locked(func() error {
		if err := journal.append(entries...); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(w.state.records, w.ID+entrySuffix)); err != nil {
			return fmt.Errorf("record of work: %w", err)
		}
		return nil
	})
	return errors.Join(err, w.file.Close())
}

// Leave gives a record of Abandoned back, for the next who asks.
func (w *Work) Leave() error { return w.file.Close() }

// Abandoned returns the records whose process is gone; they are this one's now.
// Records that can't be read are returned as an error beside the others.
func (s *State) Abandoned() ([]*Work, error) {
	if err := removeTemporary(s.records); err != nil {
		return nil, fmt.Errorf("records of work: %w", err)
	}
	files, err := os.ReadDir(s.records)
	if err != nil {
		return nil, fmt.Errorf("records of work: %w", err)
	}
	var works []*Work
	var broken error
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), entrySuffix) {
			continue
		}
		work, err := s.takeOver(filepath.Join(s.records, file.Name()))
		if err != nil {
			broken = errors.Join(broken, fmt.Errorf("record of work: %w", err))
		}
		if work != nil {
			works = append(works, work)
		}
	}
	return works, broken
}

// takeOver returns nil and no error for a record whose process lives.
func (s *State) takeOver(path string) (_ *Work, err error) {
	f, content, err := takeFile(path)
	if err != nil || f == nil {
		return nil, err
	}
	work := &Work{state: s, file: f}
	if err := json.Unmarshal(content, &work.Record); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	if work.ID+entrySuffix != filepath.Base(path) {
		return nil, errors.Join(fmt.Errorf("%s holds another record", path), f.Close())
	}
	return work, nil
}

// takeFile opens and locks a file and reads it. The file is nil where somebody
// else holds its lock, or has removed it meanwhile.
func takeFile(path string) (*os.File, []byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	err = disk.TryLock(f)
	if errors.Is(err, disk.ErrLocked) {
		return nil, nil, f.Close()
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	there, err := isAt(f, path)
	if err != nil || !there {
		return nil, nil, errors.Join(err, f.Close())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, content, nil
}

// removeUnlocked removes a file unless somebody holds its lock.
func removeUnlocked(path string) error {
	f, _, err := takeFile(path)
	if err != nil || f == nil {
		return err
	}
	return errors.Join(os.Remove(path), f.Close())
}
