package api

import (
	"context"
	"fmt"

	"github.com/pgharbor/pgharbor/controlplane/audit"
)

// The ranges of a download, in bytes. Each is as long as all that left before it, so
// that what the trail says has left is never more than twice what has, and one more
// range of the first size; a file of 1 TB takes about a thousand of them.
const (
	firstRange = 1 << 20
	lastRange  = 1 << 30
)

// leaving writes to the trail, a range at a time, which bytes of a file are about to
// leave. A download that is broken off, or whose control plane is killed, still
// shows how much that was at most. The range is written before its first byte
// leaves, and no byte waits for more than that.
type leaving struct {
	trail     *audit.Trail
	sequence  int64 // of the entry that began the download, which covers the first range
	from      int64 // the first byte of the download
	size      int64 // of the file
	announced int64
}

// firstAnnounced is where the range ends that a download begins with.
func firstAnnounced(from, size int64) int64 { return min(from+firstRange, size) }

// upTo returns once the trail says that the bytes before end leave.
func (l *leaving) upTo(ctx context.Context, end int64) error {
	for l.announced < end {
		next := min(l.announced+min(max(l.announced-l.from, firstRange), lastRange), l.size)
		if err := l.trail.Ongoing(ctx, l.sequence, fmt.Sprintf("bytes %d to %d of %d leave", l.announced, next, l.size)); err != nil {
			return err
		}
		l.announced = next
	}
	return nil
}
