package store

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrReserve reports that something would not leave the reserve of the disk free.
var ErrReserve = errors.New("the disk is too full for what others ask")

const (
	leastReserve = 1 << 30
	mostReserve  = 32 << 30
	// lookEvery is how much is written between two looks at what is free.
	lookEvery = 1 << 20
)

// ReserveOf is what stays free of a disk of this size, in bytes, where nobody says otherwise: a twentieth of it, at least
// 1 GiB and at most 32 GiB, and no more than a quarter of a small one.
func ReserveOf(size int64) int64 {
	return min(max(size/20, leastReserve), mostReserve, size/4)
}

// SetReserve sets what Room keeps free of the disk, in bytes; negative is ReserveOf. It is called before anything else.
func (s *Store) SetReserve(bytes int64) { s.reserve = &bytes }

// Room returns ErrReserve where something of this size, in bytes, would not leave the reserve and besides free. It is
// for what others ask to be stored here: the host's own backups may have all there is. Neither may be negative.
func (s *Store) Room(size, besides int64) error {
	disk, err := s.disk()
	if err != nil {
		return err
	}
	reserve := ReserveOf(int64(disk.Blocks) * disk.Bsize)
	if s.reserve != nil && *s.reserve >= 0 {
		reserve = *s.reserve
	}
	free := int64(disk.Bavail) * disk.Bsize
	if room := free - reserve; room < 0 || room < besides || room-besides < size {
		return fmt.Errorf("%w: %s has %s free, of which %s stay free for this host's own backups, and this takes %s",
			ErrReserve, s.path, mebibytes(free), mebibytes(reserve+besides), mebibytes(size))
	}
	return nil
}

// disk is the one that the folder stands on.
func (s *Store) disk() (disk unix.Statfs_t, err error) {
	if s.statfs != nil {
		return s.statfs()
	}
	if err := unix.Fstatfs(int(s.top.dir.Fd()), &disk); err != nil {
		return disk, fmt.Errorf("statfs %s: %w", s.path, err)
	}
	return disk, nil
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// Sparing is a writer to the disk of the store that stops before the reserve is touched.
type Sparing struct {
	store   *Store
	besides int64
	unseen  int64 // bytes written since the last look
}

// Spare makes one; besides is as in Room.
func (s *Store) Spare(besides int64) *Sparing { return &Sparing{store: s, besides: besides} }

// Take is told that so many bytes are about to be written; ErrReserve where that is too much.
func (s *Sparing) Take(bytes int) error {
	if s.unseen += int64(bytes); s.unseen < lookEvery {
		return nil
	}
	s.unseen = 0
	return s.store.Room(max(int64(bytes), lookEvery), s.besides) // as much may be written until the next look
}
