package output

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Bytes formats a size for a person, in powers of 1024.
func Bytes(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// Count formats a number with its thousands set apart.
func Count(n int64) string { return humanize.Comma(n) }

// Time formats a moment in the given zone; "" for none.
func Time(at *timestamppb.Timestamp, zone *time.Location) string {
	if at == nil {
		return ""
	}
	return at.AsTime().In(zone).Format("2006-01-02 15:04:05 MST")
}

// Age formats how long ago a moment is; "" for none.
func Age(at *timestamppb.Timestamp, now time.Time) string {
	if at == nil {
		return ""
	}
	age := now.Sub(at.AsTime())
	if age < 0 {
		return "in " + Duration(-age)
	}
	return Duration(age)
}

// Duration formats a length of time in one unit, or in two if the first is small.
func Duration(d time.Duration) string {
	seconds, minutes, hours := int64(d/time.Second), int64(d/time.Minute), int64(d/time.Hour)
	days := hours / 24
	switch {
	case seconds < 1:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case minutes < 1:
		return fmt.Sprintf("%ds", seconds)
	case minutes < 10:
		return fmt.Sprintf("%dm%ds", minutes, seconds%60)
	case hours < 2:
		return fmt.Sprintf("%dm", minutes)
	case days < 2:
		return fmt.Sprintf("%dh", hours)
	default:
		return fmt.Sprintf("%dd", days)
	}
}
