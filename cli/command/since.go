package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// since is a flag value: a moment, given as its age (7d, 36h, 90m) or as a date of RFC 3339, with or without the time
// of day.
type since struct {
	now  func() time.Time
	text string
	at   *timestamppb.Timestamp
}

// Set implements pflag.Value.
func (s *since) Set(text string) error {
	at, err := parseSince(text, s.now())
	if err != nil {
		return err
	}
	s.text, s.at = text, timestamppb.New(at)
	return nil
}

// String implements pflag.Value.
func (s *since) String() string { return s.text }

// Type implements pflag.Value.
func (s *since) Type() string { return "age|date" }

func parseSince(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	if number, ok := strings.CutSuffix(text, "d"); ok {
		// More days than this lie before any backup.
		if days, err := strconv.ParseUint(number, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(days)), nil
		}
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	return time.Time{}, fmt.Errorf("must be an age such as 7d or 36h, or a date such as %s", now.Format(time.DateOnly))
}
