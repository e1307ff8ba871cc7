package job

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
)

const week = 7 * 24 * time.Hour

// At the start of a week, all of a hundred old files are due. They are read one
// after the other, spread out, and each once a week from then on.
func TestScrubIsSpreadOut(t *testing.T) {
	backups := make([]Backup, 100)
	for n := range backups {
		backups[n].ID, backups[n].State = backupID(n), backup.StatePresent
		backups[n].FinishedAt = today.AddDate(0, 0, -200+n)
	}
	var last time.Time
	reads := map[string][]time.Time{}
	var order []string
	now := today
	for now.Before(today.Add(3 * week)) {
		next, wait := dueScrub(backups, nil, last, now, week)
		if wait > 0 {
			now = now.Add(wait)
			continue
		}
		if !last.IsZero() && now.Sub(last) < week/200 {
			t.Fatalf("%s is read %s after the one before it", next.ID, now.Sub(last))
		}
		last, next.Check.ScrubbedAt = now, now
		reads[next.ID] = append(reads[next.ID], now)
		order = append(order, next.ID)
	}
	for n := range backups {
		at := reads[backupID(n)]
		if len(at) < 3 {
			t.Fatalf("%s was read %d times in three weeks", backupID(n), len(at))
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i].Sub(at[i-1]); gap < week || gap > week+week/100 {
				t.Errorf("%s was read again after %s", backupID(n), gap)
			}
		}
	}
	if !slices.IsSorted(order[:100]) {
		t.Error("the first hundred are not read in the order of their age")
	}
}

func TestScrubIsDueByTheLastLook(t *testing.T) {
	for name, test := range map[string]struct {
		finished, scrubbed time.Time
		want               time.Duration
	}{
		"just made":                 {today, time.Time{}, week},
		"made six days ago":         {today.AddDate(0, 0, -6), time.Time{}, week - 6*24*time.Hour},
		"read yesterday":            {today.AddDate(0, 0, -90), today.AddDate(0, 0, -1), week - 24*time.Hour},
		"read by a clock ahead":     {today.AddDate(0, 0, -7), today.AddDate(10, 0, 0), 0},
		"made by one, never looked": {today.AddDate(10, 0, 0), time.Time{}, -1},
	} {
		b := Backup{Stored: backup.Stored{State: backup.StatePresent}, Check: state.CheckState{ScrubbedAt: test.scrubbed}}
		b.FinishedAt = test.finished
		next, wait := dueScrub([]Backup{b}, nil, time.Time{}, today, week)
		if next == nil || (test.want >= 0 && wait != test.want) || (test.want < 0 && wait > 0) {
			t.Errorf("%s: due in %s, want %s", name, wait, test.want)
		}
	}
	gone := Backup{Stored: backup.Stored{State: backup.StateMissing}}
	if next, _ := dueScrub([]Backup{gone}, nil, time.Time{}, today, week); next != nil {
		t.Error("a file that is gone is to be read")
	}
}

func TestScrubFindsWhatTheDiskHasDone(t *testing.T) {
	for name, test := range map[string]struct {
		harm   func(path string) error
		damage string
		state  string
	}{
		"nothing":        {func(string) error { return nil }, "", backup.StatePresent},
		"a flipped byte": {func(path string) error { return os.WriteFile(path, []byte("backup000000000X"), 0o600) }, "its hash is not", backup.StateDamaged},
		"truncation":     {func(path string) error { return os.Truncate(path, 3) }, "it has 3 bytes", backup.StateDamaged},
		"deletion":       {os.Remove, "", backup.StateMissing},
	} {
		t.Run(name, func(t *testing.T) {
			r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
			withDays(r, t, 1)
			b := r.Inventory.Current().Backups[0]
			before := r.Inventory.Current().Digest
			if err := test.harm(folderOf(r.Engine).Path(b.Location)); err != nil {
				t.Fatal(err)
			}
			r.scrubber.scrub(t.Context(), b)
			select {
			case <-r.Inventory.Changed():
			default:
				t.Error("the session is not told")
			}
			found := r.Inventory.Current()
			if got := found.Backups[0]; got.State != test.state || !strings.HasPrefix(got.Damage, test.damage) {
				t.Errorf("it is %s: %q", got.State, got.Damage)
			}
			if (found.Digest != before) != (test.state != backup.StatePresent) {
				t.Errorf("the digest has changed: %t", found.Digest != before)
			}
			told := entries(t, r.State)
			if test.state == backup.StateMissing { // that is the inventory's to tell
				if len(told) != 0 {
					t.Errorf("journal: %+v", told)
				}
				return
			}
			if len(told) != 1 || told[0].Scrub == nil || told[0].Scrub.BackupID != b.ID || !strings.HasPrefix(told[0].Scrub.Damage, test.damage) {
				t.Errorf("journal: %+v", told)
			}
			// Another agent on the same folders remembers it.
			r = newOffline(t, func(c *Config) { c.State, c.Engine, c.Now = openState(t, r.State.Dir()), r.Engine, r.Clock.Now })
			if got := r.Inventory.Current().Backups[0]; got.State != test.state || !got.Check.ScrubbedAt.Equal(r.Clock.Now()) {
				t.Errorf("after a restart it is %s, read at %s", got.State, got.Check.ScrubbedAt)
			}
		})
	}
}

// A backup that can't be read again, so that nothing can be said of it, keeps no other from being read.
func TestScrubGoesOnPastWhatItCannotRead(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Plan.Scrub.Every = time.Hour })
	synctest.Test(t, func(t *testing.T) {
		for n := range 3 {
			storeBackup(t, r, "shop", backupID(n), "run", time.Now().AddDate(0, 0, n-90))
		}
		globalsAreAFolder(t, r, r.Inventory.read().Backups[0])
		r.Inventory.forget()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		r.scheduler.keepScrubbed(ctx)
		for _, b := range r.Inventory.read().Backups[1:] {
			if b.Check.ScrubbedAt.IsZero() {
				t.Errorf("%s was never read", b.ID)
			}
		}
	})
}

// globalsAreAFolder gives a backup a globals file that no program can read.
func globalsAreAFolder(t *testing.T, r *Runner, b Backup) {
	t.Helper()
	path := folderOf(r.Engine).Path(b.Location)
	b.Globals = &backup.Globals{Filename: store.GlobalsName(b.Filename), SizeBytes: 1, SHA256: b.SHA256}
	content, err := json.Marshal(b.Manifest)
	if err == nil {
		err = os.WriteFile(store.ManifestName(path), content, 0o600)
	}
	if err := errors.Join(err, os.Mkdir(store.GlobalsName(path), 0o700)); err != nil {
		t.Fatal(err)
	}
}

// A damaged file that is whole again, because somebody brought it back, is good.
func TestScrubForgetsDamageThatIsNoMore(t *testing.T) {
	r := newOffline(t, nil)
	withDays(r, t, 1)
	b := r.Inventory.Current().Backups[0]
	path := folderOf(r.Engine).Path(b.Location)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		content []byte
		state   string
	}{{[]byte(strings.ToUpper(string(good))), backup.StateDamaged}, {good, backup.StatePresent}} {
		if err := os.WriteFile(path, step.content, 0o600); err != nil {
			t.Fatal(err)
		}
		r.scrubber.scrub(t.Context(), b)
		if got := r.Inventory.Current().Backups[0].State; got != step.state {
			t.Errorf("it is %s, not %s", got, step.state)
		}
	}
}

func TestScrubKeepsToItsRateAndLetsBackupsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &Runs{underWay: map[string]state.Run{}}
		s := &scrubber{plans: newPlans(Plan{Scrub: Scrub{BytesPerSecond: 1 << 20}}), runs: runs}
		pace, begin := s.pace(), time.Now()
		for range 41 {
			if err := pace(t.Context(), backup.MaxPace); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin).Round(time.Second); took != 10*time.Second {
			t.Errorf("10 MiB at 1 MiB/s took %s", took)
		}
		runs.setRunning(state.Run{ID: "run1"}, true)
		time.AfterFunc(time.Hour, func() { runs.setRunning(state.Run{ID: "run1"}, false) })
		begin = time.Now()
		if err := pace(t.Context(), backup.MaxPace); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begin); waited < time.Hour || waited > time.Hour+yieldStep {
			t.Errorf("it went on after %s of a backup that took an hour", waited)
		}
	})
}
