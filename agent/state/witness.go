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
	// keptHeads is how many heads are kept, whatever their age. Of those before,
	// the last of each day stays, for keptDays.
	keptHeads = 64
	keptDays  = 400
)

// ErrOtherTrail is wrapped by Witness.Take where a head contradicts an earlier one.
var ErrOtherTrail = errors.New("the control plane's trail is not the one that this agent has seen")

// Witness keeps heads of the control plane's trail, as they were sent and signed: a
// trail that is rewritten there can't be rewritten here. Other processes may use
// the same folder.
type Witness struct{ dir string }

// SeenHead is a line of the witness's file.
type SeenHead struct {
	chain.SignedHead
	SeenAt time.Time `json:"seen_at"`
	// Refused: it contradicts what was seen before. After it, none is taken.
	Refused bool `json:"refused,omitempty"`
	// Accepted marks where somebody has said that the next head begins again; it is
	// no head itself.
	Accepted bool `json:"accepted,omitempty"`
}

// Take keeps a head whose signature was checked. Where it contradicts the newest
// one, or one has before, the error wraps ErrOtherTrail and says how.
func (w *Witness) Take(head chain.SignedHead, now time.Time) error {
	return w.locked(func() error {
		all, err := w.Seen()
		if err != nil {
			return err
		}
		newest, refused := standing(all)
		seen := SeenHead{SignedHead: head, SeenAt: now.UTC()}
		switch {
		case refused != nil:
			return otherTrail(newest.Head, refused.Head)
		case newest == nil || head.Sequence > newest.Sequence:
			return w.add(all, seen)
		case head.Head == newest.Head:
			return nil
		default:
			seen.Refused = true
			return errors.Join(otherTrail(newest.Head, head.Head), w.add(all, seen))
		}
	})
}

// Newest returns the newest head that holds, nil where there is none, and whether
// that is because of Accept. The error is the one that Take would return while
// another trail was offered since.
func (w *Witness) Newest() (head *chain.SignedHead, anew bool, err error) {
	all, err := w.Seen()
	if err != nil {
		return nil, false, err
	}
	newest, refused := standing(all)
	if newest == nil {
		return nil, len(all) > 0, nil
	}
	if refused != nil {
		err = otherTrail(newest.Head, refused.Head)
	}
	return &newest.SignedHead, false, err
}

// Accept makes the next head that comes the first of those that later ones are held
// to. What was seen before stays in the file.
func (w *Witness) Accept(now time.Time) error {
	return w.locked(func() error {
		all, err := w.Seen()
		if err != nil {
			return err
		}
		return w.add(all, SeenHead{Accepted: true, SeenAt: now.UTC()})
	})
}

// standing returns the newest head that holds and the one that was refused after
// it, or nil.
func standing(all []SeenHead) (newest, refused *SeenHead) {
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

func otherTrail(seen, offered chain.Head) error {
	return fmt.Errorf("%w: it has seen entry %d with the hash %s, and was then told of entry %d with the hash %s",
		ErrOtherTrail, seen.Sequence, seen.Hash, offered.Sequence, offered.Hash)
}

// Seen returns all that is kept, oldest first. A line that a crash has cut counts
// for nothing.
func (w *Witness) Seen() ([]SeenHead, error) {
	content, err := os.ReadFile(filepath.Join(w.dir, witnessFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("heads of the trail: %w", err)
	}
	var all []SeenHead
	lines := bytes.Split(content, []byte("\n"))
	for i, line := range lines[:len(lines)-1] { // what follows the last line's end was cut
		if len(line) == 0 {
			continue
		}
		var seen SeenHead
		if err := json.Unmarshal(line, &seen); err != nil {
			return nil, fmt.Errorf("heads of the trail: %s, line %d: %w", witnessFile, i+1, err)
		}
		all = append(all, seen)
	}
	return all, nil
}

// add writes a line durably. Once there are twice as many as are kept, the file is
// made again.
func (w *Witness) add(all []SeenHead, seen SeenHead) error {
	if len(all) >= 2*keptHeads {
		if thinned := thin(all); len(thinned) <= len(all)-keptHeads/2 {
			return w.rewrite(append(thinned, seen))
		}
	}
	line, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("heads of the trail: %w", err)
	}
	path := filepath.Join(w.dir, witnessFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("heads of the trail: %w", err)
	}
	end, err := wholeLines(f)
	if err == nil {
		_, err = f.WriteAt(append(line, '\n'), end)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("heads of the trail: %w", err)
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

func (w *Witness) rewrite(all []SeenHead) error {
	var content bytes.Buffer
	for _, seen := range all {
		line, err := json.Marshal(seen)
		if err != nil {
			return fmt.Errorf("heads of the trail: %w", err)
		}
		content.Write(append(line, '\n'))
	}
	f, err := writeLocked(w.dir, witnessFile, content.Bytes())
	if err != nil {
		return fmt.Errorf("heads of the trail: %w", err)
	}
	return f.Close()
}

// thin leaves the newest heads, the last of each day before them, and all that
// says that something was wrong.
func thin(all []SeenHead) []SeenHead {
	var kept []SeenHead
	oldest := all[len(all)-1].SeenAt.AddDate(0, 0, -keptDays)
	for i, seen := range all {
		day := seen.SeenAt.Format(time.DateOnly)
		lastOfDay := i+1 == len(all) || all[i+1].SeenAt.Format(time.DateOnly) != day
		if i >= len(all)-keptHeads || seen.Refused || seen.Accepted || lastOfDay && seen.SeenAt.After(oldest) {
			kept = append(kept, seen)
		}
	}
	return kept
}

func (w *Witness) locked(f func() error) error {
	lock, err := openLocked(filepath.Join(w.dir, ".trail.lock"), disk.Lock)
	if err != nil {
		return fmt.Errorf("heads of the trail: %w", err)
	}
	return errors.Join(f(), lock.Close())
}
