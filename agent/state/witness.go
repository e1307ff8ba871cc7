package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/internal/disk"
)

const (
	witnessFile = "trail-heads.jsonl"
	// keptCheckpoints is how many checkpoints are kept, whatever their age. Of those before, the
	// last of each day stays, for keptDays.
	keptCheckpoints = 64
	keptDays        = 400
)

// ErrOtherAuditLog is wrapped by Witness.Take if a checkpoint contradicts an earlier one.
var ErrOtherAuditLog = errors.New("the control plane's audit log is not the one that this agent has seen")

// Witness keeps checkpoints of the control plane's audit log, as they were sent and signed: an
// audit log that is rewritten there can't be rewritten here. Other processes may use the same
// folder.
type Witness struct{ dir string }

// SeenCheckpoint is a line of the witness's file.
type SeenCheckpoint struct {
	chain.SignedCheckpoint
	SeenAt time.Time `json:"seen_at"`
	// Refused: it contradicts what was seen before. After it, none is taken.
	Refused bool `json:"refused,omitempty"`
	// Accepted marks if somebody has said that the next checkpoint begins again; it is no
	// checkpoint itself.
	Accepted bool `json:"accepted,omitempty"`
}

// Take keeps a checkpoint whose signature was checked. If it contradicts the newest one, or one has
// before, the error wraps ErrOtherAuditLog and reports how.
func (w *Witness) Take(checkpoint chain.SignedCheckpoint, now time.Time) error {
	return w.locked(func() error {
		all, err := w.Seen()
		if err != nil {
			return err
		}
		newest, refused := standing(all)
		seen := SeenCheckpoint{SignedCheckpoint: checkpoint, SeenAt: now.UTC()}
		switch {
		case refused != nil:
			return otherAuditLog(newest.Checkpoint, refused.Checkpoint)
		case newest == nil || checkpoint.Sequence > newest.Sequence:
			return w.add(all, seen)
		case checkpoint.Checkpoint == newest.Checkpoint:
			return nil
		default:
			seen.Refused = true
			return errors.Join(otherAuditLog(newest.Checkpoint, checkpoint.Checkpoint), w.add(all, seen))
		}
	})
}

// Newest returns the newest checkpoint that holds, nil if there is none, and whether that is
// because of Accept. The error is the one that Take would return while another audit log was
// offered since.
func (w *Witness) Newest() (checkpoint *chain.SignedCheckpoint, again bool, err error) {
	all, err := w.Seen()
	if err != nil {
		return nil, false, err
	}
	newest, refused := standing(all)
	if newest == nil {
		return nil, len(all) > 0, nil
	}
	if refused != nil {
		err = otherAuditLog(newest.Checkpoint, refused.Checkpoint)
	}
	return &newest.SignedCheckpoint, false, err
}

// Accept makes the next checkpoint that comes the first of those that later ones are held to. What
// was seen before stays in the file.
func (w *Witness) Accept(now time.Time) error {
	return w.locked(func() error {
		all, err := w.Seen()
		if err != nil {
			return err
		}
		return w.add(all, SeenCheckpoint{Accepted: true, SeenAt: now.UTC()})
	})
}

// standing returns the newest checkpoint that holds and the one that was refused after it, or nil.
func standing(all []SeenCheckpoint) (newest, refused *SeenCheckpoint) {
	for i := range all {
		switch seen := &all[i]; {
		case seen.Accepted:
			newest, refused = nil, nil
		case seen.Refused:
			refused = seen
		default:
			newest = seen
		}
	}
	return newest, refused
}

func otherAuditLog(seen, offered chain.Checkpoint) error {
	return fmt.Errorf("%w: it has seen entry %d with the hash %s, and was then told of entry %d with the hash %s",
		ErrOtherAuditLog, seen.Sequence, seen.Hash, offered.Sequence, offered.Hash)
}

// Seen returns all that is kept, oldest first. A line that a crash has cut does not count.
func (w *Witness) Seen() ([]SeenCheckpoint, error) {
	content, err := os.ReadFile(filepath.Join(w.dir, witnessFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("heads of the audit log: %w", err)
	}
	var all []SeenCheckpoint
	lines := bytes.Split(content, []byte("\n"))
	for i, line := range lines[:len(lines)-1] { // what follows the last line's end was cut
		if len(line) == 0 {
			continue
		}
		var seen SeenCheckpoint
		if err := json.Unmarshal(line, &seen); err != nil {
			return nil, fmt.Errorf("heads of the audit log: %s, line %d: %w", witnessFile, i+1, err)
		}
		all = append(all, seen)
	}
	return all, nil
}

// add writes a line durably. Once there are twice as many as are kept, the file is
// made again.
func (w *Witness) add(all []SeenCheckpoint, seen SeenCheckpoint) error {
	if len(all) >= 2*keptCheckpoints {
		if thinned := thin(all); len(thinned) <= len(all)-keptCheckpoints/2 {
			return w.rewrite(append(thinned, seen))
		}
	}
	line, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("heads of the audit log: %w", err)
	}
	path := filepath.Join(w.dir, witnessFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("heads of the audit log: %w", err)
	}
	end, err := wholeLines(f)
	if err == nil {
		_, err = f.WriteAt(append(line, '\n'), end)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("heads of the audit log: %w", err)
	}
	if end == 0 {
		return disk.SyncFolder(w.dir)
	}
	return nil
}

// wholeLines drops a last line that was cut, and returns the length of the rest.
func wholeLines(f *os.File) (int64, error) {
	content, err := os.ReadFile(f.Name())
	if err != nil {
		return 0, err
	}
	end := int64(bytes.LastIndexByte(content, '\n') + 1)
	return end, f.Truncate(end)
}

func (w *Witness) rewrite(all []SeenCheckpoint) error {
	var content bytes.Buffer
	for _, seen := range all {
		line, err := json.Marshal(seen)
		if err != nil {
			return fmt.Errorf("heads of the audit log: %w", err)
		}
		content.Write(append(line, '\n'))
	}
	f, err := writeLocked(w.dir, witnessFile, content.Bytes())
	if err != nil {
		return fmt.Errorf("heads of the audit log: %w", err)
	}
	return f.Close()
}

// thin leaves the newest checkpoints, the last of each day before them, and all that says that
// something was wrong.
func thin(all []SeenCheckpoint) []SeenCheckpoint {
	var kept []SeenCheckpoint
	oldest := all[len(all)-1].SeenAt.AddDate(0, 0, -keptDays)
	for i, seen := range all {
		day := seen.SeenAt.Format(time.DateOnly)
		lastOfDay := i+1 == len(all) || all[i+1].SeenAt.Format(time.DateOnly) != day
		if i >= len(all)-keptCheckpoints || seen.Refused || seen.Accepted || lastOfDay && seen.SeenAt.After(oldest) {
			kept = append(kept, seen)
		}
	}
	return kept
}

func (w *Witness) locked(f func() error) error {
	lock, err := openLocked(filepath.Join(w.dir, ".trail.lock"), disk.Lock)
	if err != nil {
		return fmt.Errorf("heads of the audit log: %w", err)
	}
	return errors.Join(f(), lock.Close())
}
