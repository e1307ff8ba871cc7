package fleet

import (
	"fmt"
	"slices"
	"time"
)

const (
	// SizeWindow is how far back the sizes go that the newest backup is held against.
	SizeWindow = 7 * 24 * time.Hour
	// A database's sizes are known once there are this many of them, over this
	// time. Before, a database that is still being filled doubles without anything
	// being wrong, and only what is off by a factor of two is said.
	sizesKnown     = 4
	sizesKnownOver = 3 * 24 * time.Hour
	unknownPercent = 100
)

// sizeAnomaly reports how the newest size is off the median of those before it, or nothing. The sizes
// of the dumps themselves are compared if all are known: compression and sealing, switched on or
// off, change the size of a file and nothing in the database.
func sizeAnomaly(newest Size, before []Size, percent int) string {
	if len(before) == 0 {
		return ""
	}
	what, of := "dump", func(s Size) int64 { return s.Plain }
	if newest.Plain == 0 || slices.ContainsFunc(before, func(s Size) bool { return s.Plain == 0 }) {
		what, of = "file", func(s Size) int64 { return s.Stored }
	}
	middle := median(before, of)
	size := of(newest)
	off := false
	if len(before) >= sizesKnown && newest.At.Sub(before[0].At) >= sizesKnownOver {
		off = float64(abs(size-middle))*100 > float64(middle)*float64(percent)
	} else {
		off = float64(abs(size-middle))*100 > float64(min(size, middle))*unknownPercent
	}
	if !off {
		return ""
	}
	return fmt.Sprintf("the newest backup's %s has %d bytes, %+.0f %% of the median %d of the %d backups in the 7 days before it (stored: %d bytes)",
		what, size, float64(size-middle)*100/float64(max(middle, 1)), middle, len(before), newest.Stored)
}

// median is the middle one, or the mean of the two in the middle.
func median(sizes []Size, of func(Size) int64) int64 {
	all := make([]int64, 0, len(sizes))
	for _, s := range sizes {
		all = append(all, of(s))
	}
	slices.Sort(all)
	middle := len(all) / 2
	if len(all)%2 == 1 {
		return all[middle]
	}
	return all[middle-1] + (all[middle]-all[middle-1])/2
}

func abs(n int64) int64 { return max(n, -n) }
