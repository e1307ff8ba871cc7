package job

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/store"
)

// refusingFiles lets nothing be removed.
type refusingFiles struct {
	asked []string
	err   error
}

func (f *refusingFiles) Remove(at store.Location) error {
	f.asked = append(f.asked, at.File)
	return f.err
}

// What could not be removed is journaled as nothing, keeps no record, and keeps
// no other from being removed.
func TestPurgeGoesOnPastWhatItCannotRemove(t *testing.T) {
	for name, err := range map[string]error{"held since": store.ErrHeld, "a disk that fails": errors.New("input/output error")} {
		t.Run(name, func(t *testing.T) {
			r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
			withDays(r, t, 90, 60, 2, 1)
			files := &refusingFiles{err: err}
			r.purger.files = files
			r.purger.purge(t.Context())
			if len(files.asked) != 2 || !slices.IsSorted(files.asked) {
				t.Errorf("asked for %v, want the two that are old, the oldest first", files.asked)
			}
			for _, entry := range entries(t, r.State) {
				if entry.Removal != nil {
					t.Errorf("removal %+v", entry.Removal)
				}
			}
			if works, err := r.State.Records.Abandoned(); len(works) != 0 || err != nil {
				t.Errorf("records are left: %v, %v", works, err)
			}
		})
	}
}
