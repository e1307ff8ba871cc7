package job

import (
	"sync"
)

// reads counts who reads which backup.
type reads struct {
	mu         sync.Mutex
	underWayOf map[string]int // by the backup's id
}

// begin keeps retention off a backup until the returned function is called.
func (u *reads) begin(backupID string) func() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.underWayOf[backupID]++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.underWayOf[backupID]--
	}
}

func (u *reads) underWay(backupID string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.underWayOf[backupID] > 0
}
