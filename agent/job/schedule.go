package job

import (
	"errors"
	"fmt"
	"strings"
	"time"

	cron "github.com/netresearch/go-cron"
)

// Schedule is a cron expression read in a zone. A wall-clock minute that the end
// of summer time brings twice counts once, the first time; one that its start
// leaves out is made up for right after the change.
type Schedule struct {
	expression string
	location   *time.Location
	cron       cron.Schedule
}

// The five classic fields, if day of month and day of week are alternatives when both are given,
// and @daily and the like.
var cronParser = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.DowOrDom)

// ParseSchedule reads a cron expression of five fields, or @hourly, @daily,
// @weekly, @monthly or @yearly. It refuses one that never comes due.
func ParseSchedule(expression string, location *time.Location) (*Schedule, error) {
	// The library would take a zone and "@every" too; the zone has a setting of
	// its own, and "@every" starts again with each restart.
	if strings.Contains(expression, "=") || strings.HasPrefix(strings.TrimSpace(expression), "@every") {
		return nil, fmt.Errorf("%q is no cron expression of five fields", expression)
	}
	parsed, err := cronParser.Parse(expression)
	if err != nil {
		return nil, err
	}
	if spec, ok := parsed.(*cron.SpecSchedule); ok {
		spec.Location = time.UTC // of the wall clock that Next hands it
	}
	s := &Schedule{expression: expression, location: location, cron: parsed}
	if s.Next(time.Unix(0, 0)).IsZero() {
		return nil, errors.New("no date ever matches it")
	}
	return s, nil
}

// String returns the expression as it was given.
func (s *Schedule) String() string { return s.expression }

// Next returns the first time after t at which the schedule is due, in UTC.
//
// The expression is matched against the wall clock alone, as if it never
// changed; only then the zone says which moment that is. So no change of the
// clocks can hide a day or double it.
func (s *Schedule) Next(t time.Time) time.Time {
	for wall := s.wallClock(t); ; {
		wall = s.cron.Next(wall)
		if wall.IsZero() {
			return wall
		}
		if due := s.moment(wall); due.After(t) {
			return due
		}
	}
}

// wallClock is what the zone's clocks show at t, as a time in UTC. Right after
// they were set forward it is what they would show without that, so that what
// was due in the hour left out is still to come.
func (s *Schedule) wallClock(t time.Time) time.Time {
	local := t.In(s.location)
	change, shift := lastChange(local)
	_, offset := local.Zone()
	shown := t.UTC().Add(time.Duration(offset) * time.Second)
	if shift > 0 && t.Sub(change) < shift {
		return shown.Add(-shift)
	}
	return shown
}

// moment is when the clocks show wall: for the first time, if they do it twice, and as much after
// the change as wall is, if they leave it out.
func (s *Schedule) moment(wall time.Time) time.Time {
	y, m, d := wall.Date()
	local := time.Date(y, m, d, wall.Hour(), wall.Minute(), wall.Second(), 0, s.location)
	_, offset := local.Zone()
	if read := wall.Add(-time.Duration(offset) * time.Second); !read.Equal(local) {
		// Left out: time.Date may answer from before the change or after it.
		return later(read, local.UTC())
	}
	if change, shift := lastChange(local); shift < 0 && local.Sub(change) < -shift {
		return local.Add(shift).UTC()
	}
	return local.UTC()
}

// lastChange says when the clocks of t's zone were last changed before t, and by
// how much: positive is forward.
func lastChange(t time.Time) (at time.Time, shift time.Duration) {
	at, _ = t.ZoneBounds()
	if at.IsZero() {
		return at, 0
	}
	_, before := at.Add(-time.Nanosecond).Zone()
	_, after := t.Zone()
	return at, time.Duration(after-before) * time.Second
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
