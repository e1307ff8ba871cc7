package transfer

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// mostSpared is how many bytes a download leaves free on a disk; on a small disk it leaves a quarter.
const mostSpared = 256 << 20

// CheckRoom refuses a download of these sizes, in bytes, if the disk has no room for all of it. A control plane may
// send any number as a size.
func (p *Part) CheckRoom(sizes ...int64) error {
	var disk unix.Statfs_t
	if err := unix.Fstatfs(int(p.file.Fd()), &disk); err != nil {
		return nil //nolint:nilerr // a file system that can't say it may have room
	}
	var need int64
	for _, size := range sizes {
		need += min(max(size, 0), math.MaxInt64/4)
	}
	free := int64(disk.Bavail) * disk.Bsize
	if room := free - min(mostSpared, int64(disk.Blocks)*disk.Bsize/4); need > room {
		refusal := exit.Fail(exit.Failed, "the disk of %s has %s free, and the download takes %s", p.target, output.Bytes(free), output.Bytes(need)).
			WithHint("name a file on a larger disk with --output")
		if p.size > 0 {
			return refusal // what an earlier download left is kept
		}
		return errors.Join(refusal, p.Remove())
	}
	return nil
}
