package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/store"
)

const (
	// spaceFactor is how much room a dump may take once it is loaded: its data, and as much again of indexes.
	spaceFactor = 2
	// spaceReserve is left free at least, and what an empty server takes is a part of it. Of a larger disk it is
	// store.ReserveOf.
	spaceReserve = 512 << 20
	// filesReserve is how many files more the disk must be able to hold at least; of a smaller one, a quarter of all.
	filesReserve = 50_000
	// spaceStep is how often the room is looked at while a dump is loaded: code in it can make some 20,000 files in a second.
	spaceStep = 100 * time.Millisecond
)

// ErrNoRoom reports that a test restore would fill the disk, or has come near to it.
var ErrNoRoom = errors.New("there is too little room for a test restore")

// room is what this user may still write to a disk, and what a test restore leaves of it.
type room struct {
	free, reserve int64 // bytes
	files         int64 // that can still be made
	filesReserve  int64 // 0 where the file system bounds none
}

// roomOf looks at the disk of a folder.
func roomOf(dir string) (room, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return room{}, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return room{
		free: int64(stat.Bavail) * stat.Bsize, reserve: max(spaceReserve, store.ReserveOf(int64(stat.Blocks)*stat.Bsize)),
		files: int64(stat.Ffree), filesReserve: min(filesReserve, int64(stat.Files/4)),
	}, nil
}

// lacksFiles reports whether the disk can't hold so many files more.
func (r room) lacksFiles(dir string, reserve int64) error {
	if r.files >= reserve {
		return nil
	}
	return fmt.Errorf("%w: %s can hold %d files more (inodes), and %d are left to others; BACKUP_VERIFY_DIR names another folder", ErrNoRoom, dir, r.files, reserve)
}

// enoughSpace compares the room of the folder with what the dump will take.
func (p *testRun) enoughSpace() error {
	size := int64(0)
	if m := p.req.Manifest; m != nil {
		size = cmp.Or(m.PlainSizeBytes, m.SizeBytes)
	} else {
		size = p.file.Size()
	}
	has, err := roomOf(p.dir)
	if err != nil {
		return err
	}
	if need := min(size, math.MaxInt64/4)*spaceFactor + has.reserve; has.free < need {
		return fmt.Errorf("%w: %s has %d MiB free, and a dump of %d MiB may need %d; BACKUP_VERIFY_DIR names another folder",
			ErrNoRoom, p.dir, has.free>>20, size>>20, need>>20)
	}
	return has.lacksFiles(p.dir, has.filesReserve)
}

// watchSpace ends the test restore before it has filled the disk for everybody else.
func (p *testRun) watchSpace(ctx context.Context, stop context.CancelCauseFunc) {
	if p.dir == "" {
		return
	}
	ticker := time.NewTicker(spaceStep)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		has, err := roomOf(p.dir)
		if err == nil && has.free < has.reserve/2 {
			err = fmt.Errorf("%w: %s has %d MiB left", ErrNoRoom, p.dir, has.free>>20)
		} else if err == nil {
			err = has.lacksFiles(p.dir, has.filesReserve/2)
		}
		if errors.Is(err, ErrNoRoom) {
			stop(err)
			return
		}
	}
}
