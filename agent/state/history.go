package state

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/internal/disk"
)

const (
	// maxHistory is how many pieces of work are remembered; the oldest go first.
	maxHistory = 1000
	// maxWords bounds what is kept of the words of one, in bytes: their end, if a tool says what it
	// ended with.
	maxWords = 16 << 10
)

// Ended is a piece of work that has ended, for people on this host. Times are UTC.
type Ended struct {
	ID         string    `json:"id"`                  // of the run, or of the job
	JobID      string    `json:"job_id,omitempty"`    // of the job of the control plane, if there is one
	BackupID   string    `json:"backup_id,omitempty"` // that was made or put to the test
	Kind       string    `json:"kind"`                // "backup", "restore", "verify", …
	Database   string    `json:"database,omitempty"`  // of a restore, its target
	Trigger    string    `json:"trigger,omitempty"`   // of a backup
	State      string    `json:"state"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at"`
	Error      string    `json:"error,omitempty"`
	Warnings   []string  `json:"warnings,omitempty"`
	// Words are the server's and the tools' own, which may quote rows. They are in nothing that leaves the host.
	Words string `json:"words,omitempty"`
}

// Is reports whether the work is the one that an id names: a run, a job or a backup.
func (e Ended) Is(id string) bool {
	return id != "" && (e.ID == id || e.JobID == id || e.BackupID == id)
}

// History is the folder in which what has ended is remembered for people on this host, a file each:
// `<milliseconds>-<id>.json`. Several processes may write to it.
type History struct{ dir string }

func openHistory(dir string) (*History, error) {
	if err := makePrivate(dir); err != nil {
		return nil, err
	}
	h := &History{dir}
	return h, h.locked(func() error { return removeTemporary(dir) })
}

// Add remembers what has ended, and forgets the oldest of what is too much.
func (h *History) Add(e Ended) error {
	if !entryID.MatchString(e.ID) {
		return fmt.Errorf("history: %q is no id", e.ID)
	}
	if cut := len(e.Words) - maxWords; cut > 0 {
		e.Words = "…" + strings.ToValidUTF8(e.Words[cut:], "")
	}
	content, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return h.locked(func() error {
		name := fmt.Sprintf("%0*d-%s%s", sequenceWidth, max(e.FinishedAt.UnixMilli(), 0), e.ID, entrySuffix)
		f, err := writeLocked(h.dir, name, content)
		if err != nil {
			return fmt.Errorf("history: %w", err)
		}
		return errors.Join(f.Close(), h.prune())
	})
}

// prune is for who holds the lock.
func (h *History) prune() error {
	names, err := h.list()
	if err != nil {
		return err
	}
	var failed error
	for _, name := range names[:max(len(names)-maxHistory, 0)] {
		if err := os.Remove(filepath.Join(h.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, fmt.Errorf("history: %w", err))
		}
	}
	return failed
}

// All returns what is remembered, the newest first. An error names what could not be read, besides
// the rest.
func (h *History) All() ([]Ended, error) {
	names, err := h.list()
	if err != nil {
		return nil, err
	}
	var all []Ended
	var unread error
	for _, name := range slices.Backward(names) {
		content, err := os.ReadFile(filepath.Join(h.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was too old meanwhile
		}
		var ended Ended
		if err = cmp.Or(err, json.Unmarshal(content, &ended)); err != nil {
			unread = errors.Join(unread, fmt.Errorf("history: %s: %w", name, err))
			continue
		}
		all = append(all, ended)
	}
	return all, unread
}

// list returns the names of the files, oldest first.
func (h *History) list() ([]string, error) {
	files, err := os.ReadDir(h.dir) // sorted
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	var names []string
	for _, file := range files {
		number, rest, _ := strings.Cut(file.Name(), "-")
		if _, err := strconv.ParseUint(number, 10, 64); err == nil && strings.HasSuffix(rest, entrySuffix) {
			names = append(names, file.Name())
		}
	}
	return names, nil
}

func (h *History) locked(f func() error) error {
	lock, err := openLocked(filepath.Join(h.dir, lockName), disk.Lock)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return errors.Join(f(), lock.Close())
}

// Ended is what the history has of an entry of the journal; ok is false for an entry that tells no end.
func (entry Entry) Ended() (_ Ended, ok bool) {
	switch {
	case entry.Run != nil:
		run := entry.Run
		return Ended{
			ID: run.ID, JobID: run.JobID, BackupID: run.BackupID, Kind: "backup", Database: run.Database, Trigger: run.Trigger, State: run.State,
			StartedAt: run.StartedAt, FinishedAt: run.FinishedAt, Error: run.Error, Warnings: run.Warnings, Words: run.Words,
		}, true
	case entry.Result != nil && entry.ID == resultID(entry.Result.JobID):
		result := entry.Result
		return Ended{
			ID: result.JobID, JobID: result.JobID, BackupID: result.About.BackupID, Kind: cmp.Or(result.About.Kind, "job"),
			Database: result.About.Database, State: result.State, StartedAt: result.About.StartedAt, FinishedAt: result.FinishedAt,
			Error: result.Error, Warnings: result.Warnings, Words: result.About.Words,
		}, true
	}
	return Ended{}, false
}
