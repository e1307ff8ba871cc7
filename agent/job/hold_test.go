package job

import (
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
)

// besides is a runner of another process on the same folders.
func besides(t *testing.T, r *Runner) *Runner {
	t.Helper()
	return newOffline(t, func(c *Config) { c.State, c.Engine = openState(t, r.State.Dir()), r.Engine })
}

// The hold of the host is set by another process than the one that does what the control plane asks
// for. It is not lost to a hold from afar that was looked at before it and is written after it:
// from afar it could then be released.
func TestAHoldOfTheHostIsNotLostToOneFromAfar(t *testing.T) {
	r := newOffline(t, nil)
	storeBackup(t, r, "shop", backupID(1), "run1", time.Now())
	host, held := besides(t, r), make(chan error, 1)
	err := r.Holds.change(backupID(1), func(*backup.Hold) error {
		go func() { held <- host.Holds.HoldHere(backupID(1), "host:root", "evidence") }()
		select {
		case err := <-held: // it did not wait
			held <- err
		case <-time.After(300 * time.Millisecond):
		}
		return r.Engine.Hold(backupID(1), backup.Hold{By: "user:mallory"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	result := accept(t, r, Job{ID: "job1", Spec: HoldSpec{BackupID: backupID(1), Release: true, By: "user:mallory"}})
	if result.Failure != backup.FailureNotAllowed {
		t.Errorf("the release from afar: %+v", result)
	}
}

// The same against retention: a backup that the host holds is there.
func TestAHoldOfTheHostWaitsForARemoval(t *testing.T) {
	r := newOffline(t, nil)
	storeBackup(t, r, "shop", backupID(1), "run1", time.Now())
	release, err := r.Holds.lock.take()
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan error, 1)
	go func() { held <- besides(t, r).Holds.HoldHere(backupID(1), "host:root", "evidence") }()
	select {
	case err := <-held:
		t.Errorf("it does not wait for who is at it: %v", err)
		held <- err
	case <-time.After(300 * time.Millisecond):
	}
	if err := r.Engine.Remove(backupID(1)); err != nil {
		t.Error(err)
	}
	release()
	if err := <-held; err == nil || !strings.Contains(err.Error(), backupID(1)) {
		t.Errorf("the hold of what is gone by then: %v", err)
	}
}
