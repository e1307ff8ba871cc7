package api

import (
	"context"
	"fmt"

	"github.com/pgharbor/pgharbor/controlplane/audit"
)

// The ranges of a download, in bytes. Each is as long as all before it, up to lastRange. So what the
// audit log says has left is never more than twice what has left, plus firstRange. A file of 1 TB
// takes about a thousand ranges.
const (
	firstRange = 1 << 20
	lastRange  = 1 << 30
)

// egress accounts for the bytes of a file that leave: it writes each range to the audit log before
// the first byte of the range is sent. So a download that is cut off, or whose control plane is
// killed, still shows the most that can have left. No byte waits for more than that entry.
type egress struct {
	auditLog  *audit.Log
	sequence  int64 // of the entry that began the download, which covers the first range
	from      int64 // the first byte of the download
	size      int64 // of the file
	announced int64
}

// firstAnnounced is the end of the first range of a download.
func firstAnnounced(from, size int64) int64 { return min(from+firstRange, size) }

// upTo returns once the audit log has an entry for all bytes before end.
func (l *egress) upTo(ctx context.Context, end int64) error {
	for l.announced < end {
		next := min(l.announced+min(max(l.announced-l.from, firstRange), lastRange), l.size)
		if err := l.auditLog.Ongoing(ctx, l.sequence, fmt.Sprintf("bytes %d to %d of %d leave", l.announced, next, l.size)); err != nil {
			return err
		}
		l.announced = next
	}
	return nil
}
