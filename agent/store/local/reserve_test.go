package local

import (
	"errors"
	"math"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/store"
)

const mebi = 1 << 20

// diskOf lets the store believe that its disk has this size and this much free, in MiB.
func diskOf(s *Store, size int64, free *int64) {
	s.statfs = func() (unix.Statfs_t, error) {
		return unix.Statfs_t{Bsize: mebi, Blocks: uint64(size), Bavail: uint64(*free)}, nil
	}
}

func TestWhatOthersAskLeavesTheReserveFree(t *testing.T) {
	s := open(t, t.TempDir())
	for _, tt := range []struct {
		size, free, reserve int64 // of the disk, MiB; a reserve of -1 is the rule's
		asked, besides      int64 // MiB
		taken               bool
	}{
		{100 << 10, 50 << 10, -1, 40 << 10, 0, true},
		{100 << 10, 50 << 10, -1, 45 << 10, 0, true},  // to the last byte before the reserve
		{100 << 10, 50 << 10, -1, 46 << 10, 0, false}, // 5 of 100 GiB stay
		{100 << 10, 50 << 10, -1, 40 << 10, 6 << 10, false},
		{100 << 10, 50 << 10, 0, 50 << 10, 0, true},
		{100 << 10, 50 << 10, 0, 50 << 10, 1, false},
		{16, 16, -1, 12, 0, true},
		{16, 16, -1, 13, 0, false}, // a quarter of a small disk
		{100 << 10, 4 << 10, -1, 0, 0, false},
		{100 << 10, 50 << 10, -1, math.MaxInt64 / mebi, 0, false},
		{100 << 10, 50 << 10, -1, 1, math.MaxInt64 / mebi, false},
	} {
		free := tt.free
		diskOf(s, tt.size, &free)
		s.SetReserve(tt.reserve * mebi)
		err := store.Room(s, tt.asked*mebi, tt.besides*mebi)
		if (err == nil) != tt.taken || err != nil && !errors.Is(err, store.ErrReserve) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// A backup that others ask for ends before the disk is full, and leaves nothing. The host's own may have all of it.
func TestABackupForOthersStopsBeforeTheReserve(t *testing.T) {
	for _, forOthers := range []bool{true, false} {
		s := open(t, t.TempDir())
		free := int64(100)
		diskOf(s, 200, &free)
		s.SetReserve(50 * mebi)
		file, err := s.Create("shop", "backup-2026-01-02-03-04-05.sql", "run1")
		if err != nil {
			t.Fatal(err)
		}
		if forOthers {
			if file, err = store.KeepReserve(s, file); err != nil {
				t.Fatal(err)
			}
		}
		block := make([]byte, mebi)
		written := int64(0)
		for err = nil; err == nil && written < 100; written++ {
			if _, err = file.Write(block); err == nil {
				free--
			}
		}
		if stopped := errors.Is(err, store.ErrReserve); stopped != forOthers || stopped && free < 50 {
			t.Errorf("for others is %v: %v, with %d MiB free", forOthers, err, free)
		}
		if err := file.Abort(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.Path(store.Location{Database: "shop", File: "backup-2026-01-02-03-04-05.sql"})); err == nil {
			t.Error("something is left")
		}
	}
}

// What was cut by the reserve is no backup, whatever its writer does next.
func TestABackupThatTheReserveCutIsNotCommitted(t *testing.T) {
	s := open(t, t.TempDir())
	free := int64(100)
	diskOf(s, 200, &free)
	s.SetReserve(50 * mebi)
	file, err := s.Create("shop", base, "run1")
	if err != nil {
		t.Fatal(err)
	}
	if file, err = store.KeepReserve(s, file); err != nil {
		t.Fatal(err)
	}
	free = 40
	for range 2 { // it does not go on after an error, although there is room again
		if _, err := file.Write(make([]byte, mebi)); !errors.Is(err, store.ErrReserve) {
			t.Errorf("Write: %v", err)
		}
		free = 100
	}
	if _, err := file.Commit(nameAsManifest); !errors.Is(err, store.ErrReserve) {
		t.Errorf("Commit: %v", err)
	}
	if left := onDisk(t, s.Dir()); left != nil {
		t.Errorf("left: %q", left)
	}
}
