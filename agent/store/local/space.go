package local

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/store"
)

// SetReserve sets what others must leave free of the disk, in bytes; negative is store.ReserveOf. It is called before
// anything else.
func (s *Store) SetReserve(bytes int64) { s.reserve = &bytes }

// Space returns what this process may still write to the disk that the folder stands on.
func (s *Store) Space() (store.Space, error) {
	disk, err := s.disk()
	if err != nil {
		return store.Space{}, err
	}
	space := store.Space{Of: s.path, Free: int64(disk.Bavail) * disk.Bsize, Reserve: store.ReserveOf(int64(disk.Blocks) * disk.Bsize)}
	if s.reserve != nil && *s.reserve >= 0 {
		space.Reserve = *s.reserve
	}
	return space, nil
}

func (s *Store) disk() (disk unix.Statfs_t, err error) {
	if s.statfs != nil {
		return s.statfs()
	}
	if err := unix.Fstatfs(int(s.top.dir.Fd()), &disk); err != nil {
		return disk, fmt.Errorf("statfs %s: %w", s.path, err)
	}
	return disk, nil
}
